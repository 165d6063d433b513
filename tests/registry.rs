//! `aiohost run docker://HOST/REPOSITORY`: plugins out of a registry, which is one of this suite's own and does whatever a test wants.

#[path = "registry/access.rs"]
mod access;
#[path = "registry/cache.rs"]
mod cache;
#[path = "registry/faults.rs"]
mod faults;
#[path = "cli/guests.rs"]
#[allow(dead_code, reason = "this suite needs two of them")]
mod guests;
#[path = "support/image.rs"]
#[allow(dead_code, reason = "this suite has no links in its images")]
mod image;
#[path = "registry/images.rs"]
mod images;
#[path = "support/notes.rs"]
mod notes;
#[path = "registry/place.rs"]
mod place;
#[path = "registry/references.rs"]
mod references;
#[path = "registry/server.rs"]
mod server;
#[path = "registry/tls.rs"]
mod tls;
