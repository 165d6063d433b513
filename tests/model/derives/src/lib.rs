//! Derives that do nothing, in place of those of wasmtime.

use proc_macro::TokenStream;

#[proc_macro_derive(ComponentType, attributes(component))]
pub fn component_type(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}

#[proc_macro_derive(Lift, attributes(component))]
pub fn lift(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}

#[proc_macro_derive(Lower, attributes(component))]
pub fn lower(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}
