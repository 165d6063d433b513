//! What can be told of compiled code without trusting it: its file is looked at as bytes, and nothing of it is loaded.

use std::path::Path;

use object::elf::{self, FileHeader64};
use object::endian::Endianness;
use object::read::elf::{FileHeader, SectionHeader};
use wasmtime::{Engine, Precompiled};

use super::{sealed, source};
use crate::problem::Result;

/// The section in which wasmtime says which version it is, before anything else.
const ENGINE_SECTION: &[u8] = b".wasmtime.engine";

/// Compiled code, as far as it can be told from outside. Whoever made it may have written what they liked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompiledCode {
    /// Whether it is that of a component, and not of a core module.
    pub is_component: bool,
    /// The version of wasmtime that made it, as `48`.
    pub wasmtime: Option<String>,
    /// The kind of machine that it is for, as `x86_64`.
    pub machine: Option<&'static str>,
    /// Whether it is whole, and in the form that `aiohost compile` writes.
    pub is_sealed: bool,
}

/// Looks at a file by its content; none if it is no compiled code. Whatever it is, nothing of it is loaded or run.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("plugin.cwasm");
/// let plugin = aiohost::Host::builder().build()?.load_bytes("plugin.wat", b"(component)")?;
/// std::fs::write(&path, plugin.compiled()?)?;
/// let code = aiohost::plugin::compiled_code(&path)?.expect("it is compiled code");
/// assert!(code.is_component && code.is_sealed);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// If the file cannot be read, or is none that a plugin can be in.
pub fn compiled_code(path: impl AsRef<Path>) -> Result<Option<CompiledCode>> {
    let path = path.as_ref();
    // The most of what is asked for is none, and need not be read.
    if !source::is_elf(path)? {
        return Ok(None);
    }
    Ok(CompiledCode::read(&source::read(path)?))
}

impl CompiledCode {
    fn read(bytes: &[u8]) -> Option<Self> {
        let is_component = Engine::detect_precompiled(bytes)? == Precompiled::Component;
        let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
        let endian = header.endian().ok()?;
        let machine = match header.e_machine(endian) {
            elf::EM_X86_64 => Some("x86_64"),
            elf::EM_AARCH64 => Some("aarch64"),
            elf::EM_RISCV => Some("riscv64"),
            elf::EM_S390 => Some("s390x"),
            _ => None,
        };
        let wasmtime = version(header, endian, bytes);
        Some(Self { is_component, wasmtime, machine, is_sealed: sealed::unseal(bytes).is_some() })
    }
}

/// The version: after a byte for the form of the section, and one for the length.
fn version(header: &FileHeader64<Endianness>, endian: Endianness, bytes: &[u8]) -> Option<String> {
    let sections = header.sections(endian, bytes).ok()?;
    let (_, section) = sections.section_by_name(endian, ENGINE_SECTION)?;
    let [_, length, rest @ ..] = section.data(endian, bytes).ok()? else { return None };
    let version = std::str::from_utf8(rest.get(..usize::from(*length))?).ok()?;
    // It is going to be printed.
    let is_plain = version.chars().all(|c| c.is_ascii_graphic());
    (is_plain && !version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled() -> Vec<u8> {
        let component = wat::parse_str("(component)").expect("a valid component");
        Engine::default().precompile_component(&component).expect("a valid component")
    }

    #[test]
    fn compiled_code_tells_who_made_it_and_for_what() {
        let code = CompiledCode::read(&compiled()).expect("it is compiled code");
        assert!(code.is_component && !code.is_sealed);
        assert_eq!(code.machine, Some(std::env::consts::ARCH));
        let version = code.wasmtime.expect("a version");
        assert!(version.parse::<u32>().is_ok_and(|version| version >= 48), "{version}");
        assert!(CompiledCode::read(&sealed::seal(compiled())).expect("it is compiled code").is_sealed);
    }

    #[test]
    fn what_is_no_compiled_code_is_not_called_that() {
        let own = std::fs::read("/proc/self/exe").expect("this program");
        for other in [&b""[..], b"\0asm\x0d\0\x01\0", b"\x7fELF\x02\x01\x01", &own[..own.len().min(4096)]] {
            assert_eq!(CompiledCode::read(other), None);
        }
    }

    #[test]
    fn no_damage_makes_it_more_than_a_wrong_answer() {
        let code = compiled();
        for length in (0..code.len()).step_by(97) {
            let _ = CompiledCode::read(&code[..length]);
        }
        for index in 0..code.len().min(512) {
            let mut damaged = code.clone();
            damaged[index] ^= 0xff;
            let _ = CompiledCode::read(&damaged);
        }
    }
}
