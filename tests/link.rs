//! Every function of every world can be linked: a WIT function without a host line, or with other types, fails here.

use std::path::Path;

use aiohost::bindings::types;
use aiohost::{
    AioCtx, AioCtxBuilder, AioCtxView, AioEngine, AioView, EpochTicker, Guest, GuestBuilder, GuestHandle, Host, HostBuilder,
    HostCalls, Plugin, Stdin, Stdout, StoreCeiling,
};
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

struct State {
    aio: AioCtx,
    table: ResourceTable,
}

impl AioView for State {
    fn aio(&mut self) -> AioCtxView<'_> {
        AioCtxView { ctx: &mut self.aio, table: &mut self.table }
    }
}

/// A component that imports everything of a world.
fn dummy(world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (package, _) = resolve.push_dir(&wit).expect("the WIT package is valid");
    let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("the world can be embedded");
    let encoder = ComponentEncoder::default().module(&module).expect("the module is valid");
    encoder.validate(true).encode().expect("the module makes a component")
}

fn engine(concurrency: bool) -> Engine {
    let mut config = Config::new();
    config.concurrency_support(concurrency);
    Engine::new(&config).expect("the engine can be made")
}

fn link(world: &str, concurrency: bool) {
    let engine = engine(concurrency);
    let mut linker: Linker<State> = Linker::new(&engine);
    let added = if concurrency { aiohost::add_to_linker(&mut linker) } else { aiohost::add_plain_to_linker(&mut linker) };
    added.expect("a fresh linker takes everything");
    let component = Component::new(&engine, dummy(world)).expect("the component compiles");
    if let Err(error) = linker.instantiate_pre(&component) {
        panic!("world {world} cannot be linked: {error:?}");
    }
}

#[test]
fn everything_links() {
    link("guest", true);
}

#[test]
fn requests_and_streams_link() {
    link("async-guest", true);
}

#[test]
fn blocking_links_without_concurrency_support() {
    link("blocking-guest", false);
}

#[test]
fn submit_links_without_concurrency_support() {
    link("submit-guest", false);
}

#[test]
fn a_second_time_was_told_by_the_name_of_a_resource() {
    let mut linker: Linker<State> = Linker::new(&engine(true));
    aiohost::add_to_linker(&mut linker).expect("a fresh linker takes everything");
    for again in [aiohost::add_to_linker(&mut linker), aiohost::add_plain_to_linker(&mut linker)] {
        let error = again.expect_err("it is there");
        assert_eq!(error.to_string(), "aiohost:aio is in this linker already");
        // What wasmtime says stays below.
        assert!(format!("{error:?}").contains("defined twice"), "{error:?}");
    }
}

/// A world of an application that has every face, and whose functions take and give every handle.
mod application {
    wasmtime::component::bindgen!({
        inline: r#"
            package example:app;

            world everything {
                include aiohost:aio/guest@0.1.0;
                use aiohost:aio/types@0.1.0.{dir, error, file, group, request, walker};
                import pass: func(file: file, dir: borrow<dir>) -> result<dir, error>;
                export take: func(file: borrow<file>, dir: dir) -> result<file, error>;
                export find: async func(of: borrow<dir>) -> list<dir>;
                export begin: func(into: borrow<group>) -> request;
                export walk: func(through: walker);
            }
        "#,
        path: "../wit",
        with: { "aiohost:aio": ::aiohost::bindings },
        exports: { default: async },
    });
}

impl application::EverythingImports for State {
    fn pass(&mut self, _file: Resource<types::File>, dir: Resource<types::Dir>) -> Result<Resource<types::Dir>, types::Error> {
        Ok(dir)
    }
}

#[test]
fn a_world_of_an_application_has_every_face() {
    let mut linker: Linker<State> = Linker::new(&engine(true));
    aiohost::add_to_linker(&mut linker).expect("a fresh linker takes everything");
    application::Everything::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state).expect("nothing is there twice");
}

/// What the documentation says of threads. The compiler looks at it.
const _: () = {
    const fn moves<T: Send>() {}
    const fn is_shared<T: Send + Sync>() {}
    moves::<AioCtx>();
    moves::<AioCtxBuilder>();
    moves::<GuestBuilder>();
    moves::<HostBuilder>();
    moves::<Guest>();
    moves::<Stdin>();
    moves::<Stdout>();
    moves::<StoreCeiling>();
    is_shared::<AioEngine>();
    is_shared::<EpochTicker>();
    is_shared::<GuestHandle>();
    is_shared::<Host>();
    is_shared::<HostCalls>();
    is_shared::<Plugin>();
};
