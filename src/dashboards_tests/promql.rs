//! As much of PromQL as the dashboards use, and the unit of what comes out of it.

use std::collections::BTreeMap;

use super::{Known, OF_PROMETHEUS};

/// An expression.
#[derive(Debug)]
pub(super) enum Expression {
    Number,
    Selector {
        metric: String,
        labels: Vec<String>,
        has_range: bool,
    },
    Call {
        function: String,
        argument: Box<Self>,
    },
    Aggregate {
        by: Vec<String>,
        argument: Box<Self>,
    },
    Binary {
        operator: String,
        left: Box<Self>,
        right: Box<Self>,
    },
}

const AGGREGATIONS: [&str; 4] = ["sum", "avg", "min", "max"];
const FUNCTIONS: [&str; 2] = ["rate", "increase"];
/// The operators, those that bind least first.
const OPERATORS: [&[&str]; 4] = [
    &["or"],
    &["==", "!=", ">=", "<=", ">", "<"],
    &["+", "-"],
    &["*", "/"],
];

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        at: 0,
    };
    let expression = parser.binary(0)?;
    match parser.peek() {
        Some(rest) => Err(format!("`{rest}` is left over")),
        None => Ok(expression),
    }
}

/// Names, numbers with their units, texts in quotes, and signs.
fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => match rest.match_indices('"').nth(1) {
                Some((end, _)) => end + 1,
                None => return Err("a text without an end".to_owned()),
            },
            first if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ if ["==", "!=", ">=", "<=", "=~", "!~"]
                .iter()
                .any(|two| rest.starts_with(two)) =>
            {
                2
            }
            first if "{}()[],=<>+-*/".contains(first) => 1,
            other => return Err(format!("`{other}` means nothing here")),
        };
        let (token, behind) = rest.split_at(length);
        tokens.push(token.to_owned());
        rest = behind.trim_start();
    }
    Ok(tokens)
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Result<String, String> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token.ok_or_else(|| "the end comes too early".to_owned())
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.takes(wanted) {
            return Ok(());
        }
        Err(format!("`{wanted}` is missing"))
    }

    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.one();
        };
        let mut left = self.binary(level + 1)?;
        while let Some(operator) = self.peek().filter(|token| operators.contains(token)) {
            let operator = operator.to_owned();
            self.at += 1;
            left = Expression::Binary {
                operator,
                left: Box::new(left),
                right: Box::new(self.binary(level + 1)?),
            };
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expression, String> {
        let token = self.next()?;
        if token == "(" {
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if token.parse::<f64>().is_ok() {
            return Ok(Expression::Number);
        }
        if AGGREGATIONS.contains(&token.as_str()) {
            let by = if self.takes("by") {
                self.names()?
            } else {
                Vec::new()
            };
            let argument = Box::new(self.argument()?);
            return Ok(Expression::Aggregate { by, argument });
        }
        if FUNCTIONS.contains(&token.as_str()) {
            let argument = Box::new(self.argument()?);
            return Ok(Expression::Call {
                function: token,
                argument,
            });
        }
        if !token.chars().all(is_word) {
            return Err(format!("`{token}` stands where a metric should"));
        }
        let labels = if self.peek() == Some("{") {
            self.matchers()?
        } else {
            Vec::new()
        };
        let has_range = self.takes("[");
        if has_range {
            self.next()?;
            self.expect("]")?;
        }
        Ok(Expression::Selector {
            metric: token,
            labels,
            has_range,
        })
    }

    fn argument(&mut self) -> Result<Expression, String> {
        self.expect("(")?;
        let argument = self.binary(0)?;
        self.expect(")")?;
        Ok(argument)
    }

    fn names(&mut self) -> Result<Vec<String>, String> {
        self.expect("(")?;
        let mut names = vec![self.next()?];
        while self.takes(",") {
            names.push(self.next()?);
        }
        self.expect(")")?;
        Ok(names)
    }

    fn matchers(&mut self) -> Result<Vec<String>, String> {
        self.expect("{")?;
        let mut labels = Vec::new();
        while !self.takes("}") {
            labels.push(self.next()?);
            let operator = self.next()?;
            if !["=", "!=", "=~", "!~"].contains(&operator.as_str()) {
                return Err(format!("`{operator}` compares no labels"));
            }
            if !self.next()?.starts_with('"') {
                return Err("a label is compared with something that is no text".to_owned());
            }
            self.takes(",");
        }
        Ok(labels)
    }
}

/// Works out units, in UCUM; `1` is a share or a pure number.
pub(super) struct Units<'a> {
    known: &'a BTreeMap<String, Known>,
}

impl<'a> Units<'a> {
    pub(super) const fn new(known: &'a BTreeMap<String, Known>) -> Self {
        Self { known }
    }

    /// The unit of an expression, or what is wrong with it.
    pub(super) fn of(&self, expression: &Expression) -> Result<String, String> {
        match expression {
            Expression::Number => Ok("1".to_owned()),
            Expression::Selector { metric, .. } => {
                let known = self.selected(expression)?;
                if known.is_counter {
                    return Err(format!(
                        "the counter `{metric}` stands outside of rate and increase"
                    ));
                }
                Ok(known.unit.clone())
            }
            Expression::Call { function, argument } => self.of_call(function, argument),
            Expression::Aggregate { by, argument } => {
                let carried = super::carried_labels(argument, self.known);
                match by.iter().find(|label| !carried.contains(*label)) {
                    Some(label) => Err(format!("no series has the label `{label}`")),
                    None => self.of(argument),
                }
            }
            Expression::Binary {
                operator,
                left,
                right,
            } => combined(operator, self.of(left)?, self.of(right)?, right),
        }
    }

    fn of_call(&self, function: &str, argument: &Expression) -> Result<String, String> {
        let Expression::Selector {
            metric,
            has_range: true,
            ..
        } = argument
        else {
            return Err(format!("{function} wants a range"));
        };
        let known = self.selected(argument)?;
        if !known.is_counter {
            return Err(format!("`{metric}` is no counter"));
        }
        if function == "increase" {
            return Ok(known.unit.clone());
        }
        Ok(match known.unit.as_str() {
            "s" => "1".to_owned(),
            "J" => "W".to_owned(),
            unit => format!("{unit}/s"),
        })
    }

    /// What a selector selects, with labels that there are.
    fn selected(&self, selector: &Expression) -> Result<&Known, String> {
        let Expression::Selector { metric, labels, .. } = selector else {
            return Err("no metric".to_owned());
        };
        let known = self.known.get(metric);
        let known = known.ok_or_else(|| format!("`{metric}` is no metric"))?;
        let is_there = |label: &&String| {
            known.labels.contains(*label) || OF_PROMETHEUS.contains(&label.as_str())
        };
        match labels.iter().find(|label| !is_there(label)) {
            Some(label) => Err(format!("`{metric}` has no label `{label}`")),
            None => Ok(known),
        }
    }
}

/// The unit of two things together. Counted things of any kind may be added up.
fn combined(
    operator: &str,
    left: String,
    right: String,
    right_side: &Expression,
) -> Result<String, String> {
    let are_counted = left.starts_with('{')
        && right.starts_with('{')
        && left.ends_with("/s") == right.ends_with("/s");
    let by_number = matches!(right_side, Expression::Number);
    match operator {
        "==" | "!=" | ">" | "<" | ">=" | "<=" if by_number => Ok(left),
        "/" if left == right => Ok("1".to_owned()),
        // time a second over things a second is time a thing, bytes over things are bytes a thing
        "/" if left == "1" && right.starts_with('{') && right.ends_with("/s") => Ok("s".to_owned()),
        "/" if right.starts_with('{') && !right.ends_with("/s") => Ok(left),
        "*" | "/" if right == "1" => Ok(left),
        "*" if left == "1" => Ok(right),
        "+" | "-" | "or" if left == right || are_counted => Ok(left),
        "+" | "-" if by_number => Ok(left),
        _ => Err(format!("{left} and {right} together")),
    }
}
