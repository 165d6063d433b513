//! The functions of the host, as wit-bindgen generates them from its WIT.

#[cfg(not(feature = "async"))]
wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package aiohost:guest;
        world guest {
          include aiohost:aio/blocking-guest@0.1.0;
          include aiohost:aio/submit-guest@0.1.0;
        }
    ",
    world: "aiohost:guest/guest",
    generate_all,
});

#[cfg(feature = "async")]
wit_bindgen::generate!({ path: "../../wit", world: "guest", generate_all });
