//! The configuration as it is now, for a program that has started with an earlier one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use kefu_messages::problems::Problems;
use kefu_messages::rules::{Context, Rules};

use super::sections::check_webhooks;
use super::{Config, ConfigErrors, load};

/// The present rules, for a program that goes on with everything else as it was at its start.
pub(crate) struct Reloaded {
    pub(crate) rules: Arc<Rules>,
    /// The SHA-256 of the file.
    pub(crate) digest: [u8; 32],
    /// The sections that have changed since the start: `[worker]`, `[[account]]`.
    pub(crate) changed: Vec<String>,
    /// As [`Config::notices`].
    pub(crate) notices: Vec<String>,
}

impl Config {
    /// Reads `file` for its rules. The whole file must be free of mistakes. Other changes in the file are not in force, so
    /// the rules must do without them. Accounts are the exception, because a rule for an account that is not served does
    /// nothing.
    ///
    /// # Errors
    /// All mistakes in the file. If the file has none, the rules that need another change in the file.
    pub(crate) fn reload(&self, file: &Path) -> Result<Reloaded, ConfigErrors> {
        let present = load(file)?;
        let changed = self.differences(&present);
        let rules = if changed.is_empty() { present.rules.current() } else { self.fitted(&present, file)? };
        Ok(Reloaded { rules, digest: present.digest, changed, notices: present.notices })
    }

    /// The rules of `present`, checked against everything else of `self`.
    fn fitted(&self, present: &Self, file: &Path) -> Result<Arc<Rules>, ConfigErrors> {
        let mut problems = Problems::default();
        let context = Context {
            folder: &self.folder,
            max_image_bytes: self.wechat.max_image_bytes,
            window: &self.window,
            assistant: self.assistant.as_ref().map(|assistant| &assistant.briefing),
            is_account: &|_| true,
        };
        let rules = Rules::resolve(&present.rule_sections, &context, &mut problems);
        check_webhooks(&self.webhook, &rules, &mut problems);
        if problems.count() == 0 {
            return Ok(Arc::new(rules));
        }
        let until = "checked with the rest of the file as it was at the program's start, which holds until a restart";
        let mut errors = ConfigErrors::of(file, problems);
        errors.problems.iter_mut().for_each(|problem| *problem += &format!(" ({until})"));
        Err(errors)
    }

    /// The sections but `[[rule]]` whose values differ.
    fn differences(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (&self.sections, &other.sections);
        let is_same =
            |name: &str| ours.get(name).zip(theirs.get(name)).is_some_and(|(ours, theirs)| ours.is_same(theirs));
        let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).filter(|name| *name != "[[rule]]").collect();
        names.into_iter().filter(|name| !is_same(name)).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Folder, MINIMAL, account};

    fn folder() -> (Folder, String) {
        let text = MINIMAL.replace("secret = \"SECRET-OF-wx1\"", "secret_file = \"secret\"");
        (Folder::new(&text).with("secret", "hush"), text)
    }

    #[test]
    fn what_has_changed_is_told_by_its_section_and_rules_are_no_change() {
        let (folder, good) = folder();
        let at_start = folder.load(&[]).unwrap();
        let differences = |text: &str, environment: &[(&str, &str)]| {
            folder.write("kefu.toml", text);
            at_start.differences(&folder.load(environment).unwrap())
        };
        let none: [&str; 0] = [];
        assert_eq!(differences(&format!("{good}[[rule]]\nwhen = {{}}\nignore = true\n"), &[]), none);
        assert_eq!(differences(&format!("# comment\n{good}"), &[]), none);
        assert_eq!(differences(&good.replace("hush", "other"), &[]), ["[[account]]"]);
        assert_eq!(differences(&format!("[worker]\nconcurrency = 1\n{good}"), &[]), ["[worker]"]);
        assert_eq!(differences(&good, &[("KEFU__QUEUE__PREFETCH", "7")]), ["[queue]"]);
        let previous = format!("{good}previous = [{{ token = \"old\" }}]\n");
        assert_eq!(differences(&previous, &[]), ["[[account]]"]);
        folder.write("secret", "another");
        assert_eq!(differences(&good, &[]), ["[[account]]"]);
    }

    #[test]
    fn a_rule_for_an_account_that_is_not_served_yet_is_taken() {
        let folder = Folder::new(MINIMAL);
        let at_start = folder.load(&[]).unwrap();
        let rule = "[[rule]]\nwhen = { account = \"wx2\" }\nignore = true\n";
        folder.write("kefu.toml", format!("{MINIMAL}{}{rule}", account("wx2")));
        let reloaded = at_start.reload(&folder.config()).unwrap();
        assert_eq!((reloaded.rules.iter().len(), reloaded.changed), (1, vec!["[[account]]".to_owned()]));
    }

    #[test]
    fn a_rule_that_needs_another_change_is_refused_until_a_restart() {
        let folder = Folder::new(MINIMAL);
        let at_start = folder.load(&[]).unwrap();
        let rule = "[[rule]]\nwhen = {}\nwebhook = { url = \"http://127.0.0.1/\" }\n";
        let webhook = "[webhook]\nsecret = \"0123456789abcdef\"\n";
        folder.write("kefu.toml", format!("{MINIMAL}{webhook}{rule}"));
        let Err(errors) = at_start.reload(&folder.config()) else { panic!("the rule was taken") };
        let [problem] = errors.problems() else { panic!("{errors}") };
        assert!(problem.starts_with("[webhook]: secret (or secret_file) is missing: [[rule]] 1 has"), "{problem}");
        assert!(problem.ends_with("which holds until a restart)"), "{problem}");
    }
}
