//! Floor 1: the messages from probe to node and their frames.
