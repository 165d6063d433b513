//! `container.wasm`: a WASI 0.2 command that does one thing, which its first argument names. It shows what a container gives its
//! process.

use std::io::{Read, Write, stdin, stdout};
use std::time::Duration;
use std::{env, fs};

use wasip2::cli::exit::exit_with_code;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["hello"] => println!("hello"),
        ["arguments", ..] => println!("{arguments:?}"),
        ["environment"] => env::vars().for_each(|(name, value)| println!("{name}={value}")),
        ["input"] => {
            let mut text = String::new();
            stdin().read_to_string(&mut text).expect("it is text");
            println!("read {text:?}");
        }
        ["list", path] => list(path),
        ["read", path] => told(fs::read_to_string(path).map(|text| print!("{text}"))),
        ["write", path, text] => told(fs::write(path, text)),
        ["exit", status] => exit_with_code(status.parse().expect("a number")),
        ["panic"] => panic!("as it was told"),
        ["compute"] => {
            ready();
            loop {
                std::hint::black_box(());
            }
        }
        ["sleep"] => {
            ready();
            // It is ended before.
            std::thread::sleep(Duration::from_secs(3600));
        }
        ["eat", mebibytes] => eat(mebibytes.parse().expect("a number")),
        ["lines", count] => (1..=count.parse().expect("a number")).for_each(|number: u32| {
            println!("line {number}");
            eprintln!("error {number}");
        }),
        other => panic!("cannot do {other:?}"),
    }
}

fn ready() {
    println!("ready");
    stdout().flush().expect("it can be written");
}

fn told(result: std::io::Result<()>) {
    if let Err(error) = result {
        println!("{:?}", error.kind());
        exit_with_code(3);
    }
}

fn list(path: &str) {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return told(Err(error)),
    };
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    println!("{names:?}");
}

/// Uses as much memory as it is told.
fn eat(mebibytes: usize) {
    let mut held = Vec::new();
    for _ in 0..mebibytes {
        held.push(vec![1_u8; 1 << 20]);
    }
    println!("ate {}", held.len());
}
