module manifest

go 1.27.1

// What the generated bindings in the folder bindings import. It is a part of wit-bindgen.
require go.bytecodealliance.org/pkg v0.4.0
