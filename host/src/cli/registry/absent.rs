//! In the place of registries where aiohost was built without them: what to do instead.

use super::oci_layout::Keep;
use super::remedy::failure;

/// Fails.
pub(super) fn read(reference: &str, _name: &str, _keep: Keep) -> anyhow::Result<Vec<u8>> {
    let help = format!(
        "build it with them, by `cargo install aiohost --features registry`; or fetch the image by another program, as in \
         `skopeo copy docker://{reference} oci:images:plugin`, and run oci-layout:images:plugin"
    );
    Err(failure("this aiohost was built without registries", help))
}
