//! Questions for the tests of this room.

use std::collections::BTreeMap;

use glasshouse_core::access::{Argument, Principal, Question};

pub(crate) use crate::matrix::{Call, principal};

impl Call {
    /// Asks with the smallest input that the tool takes.
    pub(crate) fn ask<T>(
        &self,
        principal: &Principal,
        tool: &str,
        ask: impl FnOnce(&Question<'_>) -> T,
    ) -> T {
        let mut input = BTreeMap::new();
        if tool == "query_series" {
            let metric = Argument::Text("system.cpu.time".to_owned());
            input.insert("metric".to_owned(), metric);
        }
        self.ask_with(principal, tool, &input, ask)
    }
}
