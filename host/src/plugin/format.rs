//! What a plugin file is, by its content, and how a core module that does not run as it is becomes a component.

use std::borrow::Cow;

use anyhow::Context as _;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::{Parser, Payload};
use wasmtime::Engine;
use wit_component::ComponentEncoder;

use super::core_imports;
use super::memory;
use crate::problem::{Problem, ProblemKind, Result};

/// The format of a plugin's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A WebAssembly component.
    Component,
    /// A core WebAssembly module. It runs as it is if it imports only WASI preview 1 or nothing; otherwise it becomes a component
    /// when it is loaded.
    CoreModule,
    /// The text form of one of the two.
    Text,
    /// Native code that was compiled from one of them before.
    Precompiled,
}

const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];
const CORE_VERSION: &[u8] = &[1, 0, 0, 0];

impl Format {
    /// What these bytes are. `name` is for the error.
    pub(super) fn detect(name: &str, bytes: &[u8]) -> Result<Self> {
        match Self::of(bytes) {
            Ok(format) => Ok(format),
            Err(what_it_is) => Err(Problem::new(ProblemKind::Format, format!("{name} is not a plugin"))
                .because_text(what_it_is)
                .help_with("a plugin is a WebAssembly component or a core module for WASI preview 1, as .wasm or .wat")),
        }
    }

    /// The format, or what it is instead.
    fn of(bytes: &[u8]) -> std::result::Result<Self, String> {
        if let Some(rest) = bytes.strip_prefix(b"\0asm") {
            return match rest.get(..4) {
                Some(COMPONENT_VERSION) => Ok(Self::Component),
                Some(CORE_VERSION) => Ok(Self::CoreModule),
                Some(version) => Err(format!("it is WebAssembly, but of an unknown version {version:?}")),
                None => Err("the file is cut short".to_owned()),
            };
        }
        if Engine::detect_precompiled(bytes).is_some() {
            return Ok(Self::Precompiled);
        }
        if bytes.is_empty() {
            return Err("the file is empty".to_owned());
        }
        if bytes.starts_with(b"\x7fELF") {
            return Err("it is a native program or library, or damaged compiled code".to_owned());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if text.trim_start().starts_with(['(', ';']) => Ok(Self::Text),
            Ok(_) => Err("it is a text, but not one of WebAssembly".to_owned()),
            Err(_) => Err("it does not start as WebAssembly does".to_owned()),
        }
    }
}

/// The binary form of a plugin. Compiled code stays as it is.
pub(super) fn into_binary<'a>(name: &str, format: Format, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    match format {
        Format::Component | Format::CoreModule | Format::Precompiled => Ok(Cow::Borrowed(bytes)),
        Format::Text => wat::parse_bytes(bytes)
            .map_err(|error| Problem::new(ProblemKind::Format, format!("{name} is not valid WebAssembly text")).because(error)),
    }
}

/// The binary component that a plugin is or becomes. Not for compiled code.
pub(super) fn into_component<'a>(name: &str, format: Format, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>> {
    let binary = into_binary(name, format, bytes)?;
    match Format::detect(name, &binary)? {
        Format::CoreModule => adapt(name, &binary).map(Cow::Owned),
        Format::Component | Format::Text | Format::Precompiled => Ok(binary),
    }
}

/// Makes a component of a core module.
pub(super) fn adapt(name: &str, module: &[u8]) -> Result<Vec<u8>> {
    encode(module).map_err(|error| core_imports::problem(name, module, error))
}

/// Makes a component of a core module that knows its component type.
pub(super) fn encode(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let uses = WasiUse::of(module)?;
    let encoder = ComponentEncoder::default();
    let encoder = match uses.adapter() {
        Some(adapter) => {
            let with_memory = memory::exported(module)?;
            let encoder = encoder.module(with_memory.as_deref().unwrap_or(module))?;
            encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?
        }
        None => encoder.module(module)?,
    };
    // What comes out is validated when it is compiled.
    encoder.validate(false).encode()
}

/// What a core module has to do with WASI preview 1.
#[derive(Default)]
struct WasiUse {
    imports_wasi: bool,
    exports_start: bool,
}

impl WasiUse {
    fn of(module: &[u8]) -> anyhow::Result<Self> {
        let mut uses = Self::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload.context("the module is damaged")? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        uses.imports_wasi |= import?.module == WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        uses.exports_start |= export?.name == "_start";
                    }
                }
                _ => {}
            }
        }
        Ok(uses)
    }

    /// A command is entered through `_start`, which only the command adapter calls; with it, a module without `_start`
    /// would be refused.
    fn adapter(&self) -> Option<&'static [u8]> {
        match self {
            Self { exports_start: true, .. } => Some(WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER),
            Self { imports_wasi: true, .. } => Some(WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER),
            Self { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_content() {
        assert_eq!(Format::of(b"\0asm\x0d\0\x01\0"), Ok(Format::Component));
        assert_eq!(Format::of(b"\0asm\x01\0\0\0"), Ok(Format::CoreModule));
        assert_eq!(Format::of(b"\n (component)"), Ok(Format::Text));
        assert_eq!(Format::of(b";; a comment\n(module)"), Ok(Format::Text));
    }

    #[test]
    fn what_is_no_plugin_is_called_what_it_is() {
        let refusal = |bytes: &[u8]| Format::of(bytes).expect_err("it is no plugin");
        assert_eq!(refusal(b""), "the file is empty");
        assert_eq!(refusal(b"\0asm\x01"), "the file is cut short");
        assert_eq!(refusal(b"\0asm\x0c\0\x01\0"), "it is WebAssembly, but of an unknown version [12, 0, 1, 0]");
        assert_eq!(refusal(b"\x7fELF\x02\x01\x01\0"), "it is a native program or library, or damaged compiled code");
        assert_eq!(refusal(b"#!/bin/sh\n"), "it is a text, but not one of WebAssembly");
        assert_eq!(refusal(b"\xff\xd8\xff"), "it does not start as WebAssembly does");
    }

    fn world_of(text: &str) -> super::super::world::World {
        let component = into_component("test", Format::Text, text.as_bytes()).expect("a module that can be adapted");
        super::super::world::World::read(&component).expect("a valid component").0
    }

    #[test]
    fn a_module_with_start_becomes_a_command() {
        let world = world_of(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
        assert!(world.command().is_some());
    }

    #[test]
    fn a_module_without_wasi_needs_no_adapter() {
        let world = world_of("(module)");
        assert!(world.imports.is_empty() && world.exports.is_empty());
    }

    #[test]
    fn a_module_with_unknown_imports_is_refused() {
        let text = br#"(module (import "env" "f" (func)))"#;
        let problem = into_component("test", Format::Text, text).expect_err("nothing can provide the import");
        assert_eq!(problem.kind(), ProblemKind::Format);
    }
}
