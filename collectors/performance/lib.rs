//! Floor 1: collectors of processors, memory, disks and networks.
