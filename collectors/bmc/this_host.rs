//! Which of the configured BMCs is that of the machine that the probe runs on.

use glasshouse_core::options::Options;

/// The key of the setting, of each BMC.
pub(crate) const THIS_HOST: &str = "this_host";

/// The name of the BMC of this machine. None where nobody wrote it: a machine that asks the BMCs of a rack must not take
/// the power of another for its own.
///
/// # Errors
///
/// What is wrong and the way out, where several say that they are: a machine has one.
pub(crate) fn this_host(bmcs: &[(String, Options)]) -> Result<Option<&str>, String> {
    let mut claims = bmcs.iter().filter(|(_, bmc)| bmc.is_on(THIS_HOST));
    let first = claims.next();
    match (first, claims.next()) {
        (Some((first, _)), Some((second, _))) => Err(format!(
            "`this_host` is true of `{first}` and of `{second}`; keep it with the one of this machine"
        )),
        (first, _) => Ok(first.map(|(name, _)| &**name)),
    }
}

#[cfg(test)]
mod tests {
    use glasshouse_core::options::{OptionDefault, OptionDefinition, OptionValue};

    use super::*;

    static BMC: [OptionDefinition; 1] = [OptionDefinition {
        name: THIS_HOST,
        help: "",
        default: OptionDefault::Bool(false),
    }];

    #[test]
    fn it_must_be_written_and_of_one() {
        let bmcs = |written: &[(&str, bool)]| -> Vec<(String, Options)> {
            let table = |is_on| Options::defaults(&BMC).with(THIS_HOST, OptionValue::Bool(is_on));
            let bmcs = written.iter();
            bmcs.map(|(name, is_on)| ((*name).to_owned(), table(*is_on)))
                .collect()
        };
        assert_eq!(this_host(&bmcs(&[])), Ok(None));
        assert_eq!(this_host(&bmcs(&[("a", false), ("b", false)])), Ok(None));
        assert_eq!(
            this_host(&bmcs(&[("a", false), ("b", true)])),
            Ok(Some("b"))
        );
        let wrong = this_host(&bmcs(&[("a", true), ("b", false), ("c", true)])).unwrap_err();
        assert!(wrong.contains("`a`") && wrong.contains("`c`"), "{wrong}");
    }
}
