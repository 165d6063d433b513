module example.com/my-plugin

go 1.25

// What the generated bindings in the folder bindings import.
require go.bytecodealliance.org/pkg v0.4.0
