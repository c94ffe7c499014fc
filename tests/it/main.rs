//! What can only be seen from outside: the rooms and their edges, and the shipped binary with clients of others.

mod floors;
