//! Errors: what a caller can do about them, what caused them, and how a person reads them.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// What the caller of a failed call can do about the error. The class is decided where the error is born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The other side cannot be used now: the same call may succeed later.
    Transient,
    /// The other side is full or busy: the same call may succeed later, and fewer calls help.
    Throttled,
    /// The other side refuses this call, and would refuse it again. Other calls may succeed.
    Refused,
    /// kefu's configuration, data or code is wrong: a person must act before any such call succeeds.
    Ours,
}

impl Class {
    /// Whether the same call may succeed later.
    pub fn passes(self) -> bool {
        matches!(self, Self::Transient | Self::Throttled)
    }
}

/// The cause of an error: a text, and the operating system's error below it, if there is one.
///
/// The errors of libraries repeat arguments of calls and URLs, which contain openids, tokens and secrets. So a cause never
/// keeps a library's error. The crate that calls the library writes the text from the harmless parts of the error, and
/// [`Cause::new`] takes nothing from the error but the operating system's own. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Cause {
    text: Cow<'static, str>,
    system: Option<Arc<io::Error>>,
}

impl Cause {
    /// The cause with this text. Of `error` and its sources, the cause keeps the operating system's error alone.
    pub fn new(text: impl Into<Cow<'static, str>>, error: &(dyn Error + 'static)) -> Self {
        Self { text: text.into(), system: system_error(error).map(Arc::new) }
    }

    /// The text, without the operating system's error.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same cause, with the place where it was met in front of its text.
    #[must_use]
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self { text: format!("{place}: {}", self.text).into(), system: self.system }
    }
}

/// A copy of the first error among `error` and its sources that is the operating system's. The copy is made from the
/// error's number or kind, so that nothing else comes along.
fn system_error(error: &(dyn Error + 'static)) -> Option<io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        // redis-rs has its sources behind an `Arc`.
        let shared = error.downcast_ref::<Arc<dyn Error + Send + Sync>>();
        let system = error.downcast_ref::<io::Error>().or_else(|| shared?.downcast_ref());
        match system.map(|system| (system.raw_os_error(), system.get_ref())) {
            Some((Some(code), _)) => return Some(io::Error::from_raw_os_error(code)),
            Some((None, None)) => return system.map(|system| system.kind().into()),
            // Another error in the shape of the system's: the system's may be below it.
            Some((None, Some(inner))) => next = Some(inner),
            None => next = error.source(),
        }
    }
    None
}

impl From<&'static str> for Cause {
    fn from(text: &'static str) -> Self {
        Self { text: text.into(), system: None }
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self { text: text.into(), system: None }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string(), &error)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.system.as_deref().map(|system| system as _)
    }
}

/// An error and its causes, each said once: the texts of some errors contain the text of their cause, others do not.
pub fn in_words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut error = error;
    while let Some(cause) = error.source() {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        error = cause;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a library makes it: with an argument of the call in its text.
    #[derive(Debug)]
    struct Library(io::Error);

    impl fmt::Display for Library {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "GET kefu:job:{{oSECRET}} failed: {}", self.0)
        }
    }

    impl Error for Library {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    fn a_real_failure() -> io::Error {
        std::fs::File::open("/nowhere/at/all").unwrap_err()
    }

    fn system(cause: &Cause) -> &io::Error {
        cause.source().and_then(|source| source.downcast_ref()).unwrap()
    }

    #[test]
    fn the_sources_of_a_cause_reach_the_systems_error() {
        let kinds = [
            Cause::from(a_real_failure()),
            Cause::new("not read", &Library(a_real_failure())),
            Cause::new("not read", &Library(io::Error::other(Library(a_real_failure())))),
            Cause::new("not read", &Library(io::ErrorKind::NotFound.into())).at("the folder"),
        ];
        for cause in &kinds {
            assert_eq!(system(cause).kind(), io::ErrorKind::NotFound, "{cause:?}");
        }
        assert_eq!(in_words(&kinds[1]), "not read: No such file or directory (os error 2)");
        assert!(Cause::new("not read", &io::Error::other("oSECRET")).source().is_none());
    }

    #[test]
    fn nothing_of_a_librarys_error_is_shown_but_the_systems_error() {
        for error in [a_real_failure(), io::Error::other("oSECRET"), io::Error::other(Library(a_real_failure()))] {
            let cause = Cause::new("not read", &Library(error));
            assert!(!format!("{cause} {cause:?} {}", in_words(&cause)).contains("oSECRET"), "{cause:?}");
        }
    }
}
