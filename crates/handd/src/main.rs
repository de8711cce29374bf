//! The daemon inside every sandbox, and the program that makes the sandbox around it.
//!
//! `handd launch` builds the sandbox and becomes its first process; `handd serve` is that process. It runs tools,
//! records what became of each call, and ends every process it is told to end. It holds no secret, and trusts nothing
//! that runs beside it. Nothing here may panic: the daemon is built to abort on a panic, and the sandbox would die with
//! it.

mod cancel;
mod children;
mod clock;
mod launch;
mod overflow;
mod places;
mod processes;
mod reach;
mod serve;
mod shell;
mod sync;
mod tools;

use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    // An argument that is not UTF-8 is nobody's who starts us in earnest.
    let mut arguments = std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok());
    match arguments.next().as_deref() {
        Some("serve") => serve::main(arguments),
        Some("launch") => launch::main(),
        _ => {
            complain("usage: handd serve ORPHAN_SECONDS INCARNATION | handd launch");
            ExitCode::from(2)
        }
    }
}

/// Says something on standard error. Not `eprintln!`, which panics when nobody is there to read.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "handd: {message}");
}
