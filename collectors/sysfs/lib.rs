//! Floor 1: the one door to files of /proc and /sys.
