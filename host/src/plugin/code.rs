//! The code of a plugin: that of a component, or of a core module, which runs as it is.

use std::path::Path;

use wasmtime::component::{self, Component};
use wasmtime::{Engine, InstancePre, Module, Precompiled, format_err};

use super::machine::Machine;
use super::state::GuestState;

/// What a plugin is compiled as. It is decided once, in `prepare`; compiled code says it itself, in what is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Component,
    Module,
}

/// Compiled code that is loaded.
pub(super) enum Code {
    Component(Component),
    Module(Module),
}

/// The same with its imports, ready to be instantiated.
#[derive(Clone)]
pub(super) enum Linked {
    Component(component::InstancePre<GuestState>),
    Module(InstancePre<GuestState>),
}

impl Shape {
    /// What it is called in messages.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Component => "component",
            Self::Module => "core module",
        }
    }

    /// Code as bytes.
    pub(super) fn precompile(self, engine: &Engine, binary: &[u8]) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component => engine.precompile_component(binary),
            Self::Module => engine.precompile_module(binary),
        }
    }

    /// Code that is loaded already.
    pub(super) fn compile(self, engine: &Engine, binary: &[u8]) -> wasmtime::Result<Code> {
        match self {
            Self::Component => Component::from_binary(engine, binary).map(Code::Component),
            Self::Module => Module::from_binary(engine, binary).map(Code::Module),
        }
    }

    fn of(code: Option<Precompiled>) -> wasmtime::Result<Self> {
        match code {
            Some(Precompiled::Component) => Ok(Self::Component),
            Some(Precompiled::Module) => Ok(Self::Module),
            None => Err(format_err!("it is not compiled code")),
        }
    }
}

impl Code {
    /// # Safety
    ///
    /// The bytes are the work of [`Code::serialize`] or [`Shape::precompile`].
    pub(super) unsafe fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Self> {
        match Shape::of(Engine::detect_precompiled(code))? {
            // SAFETY: the caller vouches for the bytes.
            Shape::Component => unsafe { Component::deserialize(engine, code) }.map(Self::Component),
            // SAFETY: as above.
            Shape::Module => unsafe { Module::deserialize(engine, code) }.map(Self::Module),
        }
    }

    /// Maps a file.
    ///
    /// # Safety
    ///
    /// As [`Code::deserialize`], and the file does not change as long as the code is there.
    pub(super) unsafe fn deserialize_file(engine: &Engine, path: &Path) -> wasmtime::Result<Self> {
        match Shape::of(Engine::detect_precompiled_file(path)?)? {
            // SAFETY: the caller vouches for the file.
            Shape::Component => unsafe { Component::deserialize_file(engine, path) }.map(Self::Component),
            // SAFETY: as above.
            Shape::Module => unsafe { Module::deserialize_file(engine, path) }.map(Self::Module),
        }
    }

    pub(super) fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component(component) => component.serialize(),
            Self::Module(module) => module.serialize(),
        }
    }

    /// Fails if an import is not there, or has another type.
    pub(super) fn link(&self, machine: &Machine) -> wasmtime::Result<Linked> {
        match self {
            Self::Component(component) => machine.linker()?.instantiate_pre(component).map(Linked::Component),
            Self::Module(module) => machine.modules()?.instantiate_pre(module).map(Linked::Module),
        }
    }
}

impl Linked {
    pub(super) fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component(pre) => pre.component().serialize(),
            Self::Module(pre) => pre.module().serialize(),
        }
    }
}
