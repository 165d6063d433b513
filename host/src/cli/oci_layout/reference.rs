//! `oci-layout:DIR`, `oci-layout:DIR:TAG` and `oci-layout:DIR@sha256:..`: a layout, and which of its images.

use std::path::{Path, PathBuf};

use super::super::remedy::Usage;
use super::blob::Digest;

/// How it begins.
pub(in super::super) const PREFIX: &str = "oci-layout:";

/// Which image of a layout.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The only one.
    Only,
    Tag(String),
    Digest(Digest),
}

/// A layout, and which of its images.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) dir: PathBuf,
    pub(super) which: Which,
}

impl Reference {
    pub(super) fn parse(path: &Path) -> Result<Self, Usage> {
        let form =
            || Usage(format!("{}: it is oci-layout:DIR, oci-layout:DIR:TAG or oci-layout:DIR@sha256:DIGEST", path.display()));
        let text = path.to_str().and_then(|text| text.strip_prefix(PREFIX)).filter(|text| !text.is_empty()).ok_or_else(form)?;
        let whole = || Ok(Self { dir: text.into(), which: Which::Only });
        // A name with a colon in it is one if there is such a directory.
        if Path::new(text).is_dir() {
            return whole();
        }
        if let Some((dir, digest)) = text.split_once("@sha256:").filter(|(dir, _)| !dir.is_empty()) {
            let digest = Digest::parse(&format!("sha256:{digest}")).map_err(|why| Usage(why.to_string()))?;
            return Ok(Self { dir: dir.into(), which: Which::Digest(digest) });
        }
        match text.rsplit_once(':') {
            Some((dir, tag)) if !dir.is_empty() && !tag.is_empty() && !tag.contains('/') => {
                Ok(Self { dir: dir.into(), which: Which::Tag(tag.to_owned()) })
            }
            Some(_) => Err(form()),
            None => whole(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Which)> {
        let reference = Reference::parse(Path::new(text)).ok()?;
        Some((reference.dir.display().to_string(), reference.which))
    }

    #[test]
    fn a_reference_is_a_directory_and_which_of_its_images() {
        let hex = "a".repeat(64);
        let digest = Digest::parse(&format!("sha256:{hex}")).expect("a digest");
        let tag = |tag: &str| Which::Tag(tag.to_owned());
        assert_eq!(parsed("oci-layout:a/b"), Some(("a/b".to_owned(), Which::Only)));
        assert_eq!(parsed("oci-layout:/a:b/c:1.0"), Some(("/a:b/c".to_owned(), tag("1.0"))));
        assert_eq!(parsed(&format!("oci-layout:a@sha256:{hex}")), Some(("a".to_owned(), Which::Digest(digest))));
        for wrong in ["oci-layout:", "oci-layout:a:", "oci-layout::b", "oci-layout:a@sha256:b", "oci-layout:a:b/"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let odd = dir.path().join("a:b");
        std::fs::create_dir(&odd).expect("a directory");
        assert_eq!(parsed(&format!("oci-layout:{}", odd.display())), Some((odd.display().to_string(), Which::Only)));
    }
}
