//! The device itself: a guest whose `/dev/ipmi0` is `ipmi_sim`.
