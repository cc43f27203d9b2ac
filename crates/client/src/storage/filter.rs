//! Which files a recursive command takes.

use globset::{Glob, GlobSet, GlobSetBuilder};

use super::StorageError;

/// Patterns over the path below the folder or prefix. `*` crosses slashes, so `*.csv` means every CSV file, however deep.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Filter {
    /// What matches one of `include` (everything, when there are none) and none of `exclude`.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, StorageError> {
        let include = if include.is_empty() { None } else { Some(set(include)?) };
        Ok(Self { include, exclude: set(exclude)? })
    }

    /// Whether the file is meant.
    pub fn takes(&self, relative: &str) -> bool {
        self.include.as_ref().is_none_or(|include| include.is_match(relative)) && !self.exclude.is_match(relative)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, StorageError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let wrong = |error: globset::Error| StorageError::Pattern { pattern: pattern.clone(), reason: error.kind().to_string() };
        set.add(Glob::new(pattern).map_err(wrong)?);
    }
    set.build().map_err(|error| StorageError::Pattern { pattern: patterns.join(" "), reason: error.kind().to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_excluded_stays_out_even_when_included() {
        let filter = |include: &[&str], exclude: &[&str]| {
            let texts = |patterns: &[&str]| patterns.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            Filter::new(&texts(include), &texts(exclude))
        };
        assert!(filter(&[], &[]).unwrap().takes("a/b.csv"));
        let csv = filter(&["*.csv"], &["old/*"]).unwrap();
        assert!(csv.takes("a.csv") && csv.takes("a/b.csv"));
        assert!(!csv.takes("a.json") && !csv.takes("old/a.csv"));
        let error = filter(&["[a"], &[]).unwrap_err().to_string();
        assert!(error.contains("\"[a\""), "{error}");
    }
}
