//! Sockets are those of `wasmtime_wasi`, which denies them unless an embedder allows them. Here the first denial is logged, since the
//! error that the guest gets says little.

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode as OfP2, IpAddressFamily as FamilyOfP2, Network};
use wasmtime_wasi::p2::bindings::sockets::{ip_name_lookup as lookup_of_p2, tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{SocketError as ErrorOfP2, TcpSocket as TcpOfP2, UdpSocket as UdpOfP2};
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup::{ErrorCode as LookupOfP3, HostWithStore};
use wasmtime_wasi::p3::bindings::sockets::types::{
    ErrorCode as OfP3, HostTcpSocket, HostUdpSocket, IpAddress, IpAddressFamily as FamilyOfP3,
};
use wasmtime_wasi::p3::sockets::SocketError as ErrorOfP3;
use wasmtime_wasi::sockets::{TcpSocket, UdpSocket, WasiSockets, WasiSocketsView};

use crate::ctx::AioView;

/// The functions by which a guest comes to a socket or to an address, by the names that `wasmtime_wasi` has linked them under.
const TCP_OF_P2: [&str; 2] = ["wasi:sockets/tcp-create-socket@0.2.12", "create-tcp-socket"];
const UDP_OF_P2: [&str; 2] = ["wasi:sockets/udp-create-socket@0.2.12", "create-udp-socket"];
const LOOKUP_OF_P2: [&str; 2] = ["wasi:sockets/ip-name-lookup@0.2.12", "resolve-addresses"];
const TCP_OF_P3: [&str; 2] = ["wasi:sockets/types@0.3.0", "[static]tcp-socket.create"];
const UDP_OF_P3: [&str; 2] = ["wasi:sockets/types@0.3.0", "[static]udp-socket.create"];
const LOOKUP_OF_P3: [&str; 2] = ["wasi:sockets/ip-name-lookup@0.3.0", "resolve-addresses"];

/// Puts functions that tell of a denial in the place of those that `wasmtime_wasi` has added.
pub(super) fn tell_of_denials<T: AioView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let added = tell_of_p2(linker).and_then(|()| {
        let has_p3 = linker.engine().get_concurrency_support();
        if has_p3 { tell_of_p3(linker) } else { Ok(()) }
    });
    linker.allow_shadowing(false);
    added
}

fn tell_of_p2<T: AioView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let [instance, function] = TCP_OF_P2;
    linker.instance(instance)?.func_wrap(
        function,
        |mut store: StoreContextMut<'_, T>, (family,): (FamilyOfP2,)| -> wasmtime::Result<(Result<Resource<TcpOfP2>, OfP2>,)> {
            let made = tcp_create_socket::Host::create_tcp_socket(&mut store.data_mut().sockets(), family);
            Ok((of_p2(store.data_mut(), made)?,))
        },
    )?;
    let [instance, function] = UDP_OF_P2;
    linker.instance(instance)?.func_wrap_async(function, |mut store: StoreContextMut<'_, T>, (family,): (FamilyOfP2,)| {
        Box::new(async move {
            let made = udp_create_socket::Host::create_udp_socket(&mut store.data_mut().sockets(), family).await;
            let made: Result<Resource<UdpOfP2>, OfP2> = of_p2(store.data_mut(), made)?;
            Ok((made,))
        })
    })?;
    let [instance, function] = LOOKUP_OF_P2;
    linker.instance(instance)?.func_wrap(
        function,
        |mut store: StoreContextMut<'_, T>, (network, name): (Resource<Network>, String)| {
            let found = lookup_of_p2::Host::resolve_addresses(&mut store.data_mut().sockets(), network, name);
            Ok((of_p2(store.data_mut(), found)?,))
        },
    )
}

fn tell_of_p3<T: AioView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let [instance, function] = TCP_OF_P3;
    linker.instance(instance)?.func_wrap(
        function,
        |mut store: StoreContextMut<'_, T>,
         (family,): (FamilyOfP3,)|
         -> wasmtime::Result<(Result<Resource<TcpSocket>, OfP3>,)> {
            let made = HostTcpSocket::create(&mut store.data_mut().sockets(), family);
            Ok((of_p3(store.data_mut(), made)?,))
        },
    )?;
    let [instance, function] = UDP_OF_P3;
    linker.instance(instance)?.func_wrap_async(function, |mut store: StoreContextMut<'_, T>, (family,): (FamilyOfP3,)| {
        Box::new(async move {
            let made = HostUdpSocket::create(&mut store.data_mut().sockets(), family).await;
            let made: Result<Resource<UdpSocket>, OfP3> = of_p3(store.data_mut(), made)?;
            Ok((made,))
        })
    })?;
    let [instance, function] = LOOKUP_OF_P3;
    linker.instance(instance)?.func_wrap_concurrent(function, |accessor: &Accessor<T>, (name,): (String,)| {
        Box::pin(async move {
            let sockets = accessor.with_getter::<WasiSockets>(T::sockets);
            let found: Result<Vec<IpAddress>, LookupOfP3> = HostWithStore::resolve_addresses(&sockets, name).await?;
            let is_denied = matches!(found, Err(LookupOfP3::AccessDenied | LookupOfP3::PermanentResolverFailure));
            accessor.with(|mut access| note(access.data_mut(), is_denied));
            Ok((found,))
        })
    })
}

fn of_p2<T: AioView, R>(data: &mut T, result: Result<R, ErrorOfP2>) -> wasmtime::Result<Result<R, OfP2>> {
    match result {
        Ok(made) => Ok(Ok(made)),
        Err(error) => {
            let code = error.downcast()?;
            // A name that may not be looked up is said to be one that never can be.
            note(data, matches!(code, OfP2::AccessDenied | OfP2::PermanentResolverFailure));
            Ok(Err(code))
        }
    }
}

fn of_p3<T: AioView, R>(data: &mut T, result: Result<R, ErrorOfP3>) -> wasmtime::Result<Result<R, OfP3>> {
    match result {
        Ok(made) => Ok(Ok(made)),
        Err(error) => {
            let code = error.downcast()?;
            note(data, matches!(code, OfP3::AccessDenied));
            Ok(Err(code))
        }
    }
}

fn note<T: AioView>(data: &mut T, is_denied: bool) {
    if is_denied {
        data.aio().ctx.tell_of_denied_socket();
    }
}
