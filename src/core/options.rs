//! Settings of a collector, as data: the config loader, the reference config and the docs are made from the same list.

/// One setting that a collector understands.
#[derive(Debug, PartialEq)]
pub struct OptionDefinition {
    /// The key in `[collectors.<name>]`.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What holds where nothing is written; also fixes the type.
    pub default: OptionDefault,
}

/// The default of a setting, and with it its type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionDefault {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text; empty where nothing is written.
    Text(&'static str),
    /// A list of texts.
    TextList(&'static [&'static str]),
    /// Named tables, `[collectors.<collector>.<setting>.<name>]`, each with these settings; none by default.
    Tables(&'static [OptionDefinition]),
}

/// A written setting.
#[derive(Clone, Debug, PartialEq)]
pub enum OptionValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
    /// A list of texts.
    TextList(Vec<String>),
    /// Named tables, sorted by name.
    Tables(Vec<(String, Options)>),
}

/// The settings of one collector: what was written over what is default. The config loader has checked keys and types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options(Vec<(&'static str, OptionValue)>);

impl Options {
    /// The defaults of these definitions.
    #[must_use]
    pub fn defaults(definitions: &'static [OptionDefinition]) -> Self {
        Self(
            definitions
                .iter()
                .map(|definition| (definition.name, definition.default.value()))
                .collect(),
        )
    }

    /// Replaces one setting; one that is not in the definitions is ignored.
    #[must_use]
    pub fn with(mut self, name: &str, value: OptionValue) -> Self {
        if let Some(slot) = self.0.iter_mut().find(|(known, _)| *known == name) {
            slot.1 = value;
        }
        self
    }

    /// A list of texts; empty where the setting is another or unknown.
    #[must_use]
    pub fn text_list(&self, name: &str) -> &[String] {
        match self.get(name) {
            Some(OptionValue::TextList(texts)) => texts,
            _ => &[],
        }
    }

    /// A text; empty where the setting is another or unknown.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(OptionValue::Text(text)) => text,
            _ => "",
        }
    }

    /// Named tables; none where the setting is another or unknown.
    #[must_use]
    pub fn tables(&self, name: &str) -> &[(String, Self)] {
        match self.get(name) {
            Some(OptionValue::Tables(tables)) => tables,
            _ => &[],
        }
    }

    /// A switch; off where the setting is another or unknown.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        matches!(self.get(name), Some(OptionValue::Bool(true)))
    }

    /// A whole number.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Some(OptionValue::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    fn get(&self, name: &str) -> Option<&OptionValue> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

impl OptionDefault {
    fn value(self) -> OptionValue {
        match self {
            Self::Bool(switch) => OptionValue::Bool(switch),
            Self::Integer(number) => OptionValue::Integer(number),
            Self::Text(text) => OptionValue::Text(text.to_owned()),
            Self::Tables(_) => OptionValue::Tables(Vec::new()),
            Self::TextList(texts) => {
                OptionValue::TextList(texts.iter().map(|text| (*text).to_owned()).collect())
            }
        }
    }
}
