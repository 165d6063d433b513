//! The directories that a guest of WASI finds open: those that it was granted, by their names and in their order.

use crate::ctx::AioCtx;
use crate::sandbox::OpenDir;

/// Each directory with its name. The first one comes once more as `.`, where programs look relative paths up, unless one is called
/// that or `/`, which is the same to their libraries; and last, since some programs know the others by their place.
pub(crate) fn preopens(ctx: &AioCtx) -> Vec<(OpenDir, String)> {
    let grants = ctx.grants.list();
    let mut preopens: Vec<_> = grants.iter().map(|granted| (granted.open(), granted.name().to_owned())).collect();
    if let Some(first) = grants.first()
        && grants.iter().all(|granted| !matches!(granted.name(), "." | "/"))
    {
        preopens.push((first.open(), ".".to_owned()));
    }
    preopens
}
