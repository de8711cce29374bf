//! The daemon inside every sandbox, and the program that makes the sandbox around it.
//!
//! `handd launch` builds the sandbox and becomes its first process; `handd serve` is that process. It runs tools,
//! records what became of each call, and ends every process it is told to end. It holds no secret, and trusts nothing
//! that runs beside it. Nothing here may panic: the daemon is built to abort on a panic, and the sandbox would die with
//! it.

mod cancel;
mod children;
mod clock;
mod house;
mod launch;
mod layer;
mod left;
mod limits;
mod overflow;
mod pieces;
mod places;
mod porter;
mod processes;
mod reach;
mod relay;
mod serve;
mod shell;
mod sync;
mod tools;
mod walk;

use std::{
    io::{self, Write},
    process::ExitCode,
};

fn main() -> ExitCode {
    // An argument that is not UTF-8 is nobody's who starts us in earnest.
    let mut arguments = std::env::args_os().skip(1).filter_map(|argument| argument.into_string().ok());
    match arguments.next().as_deref() {
        Some("serve") => serve::main(arguments, serve::Entrance::Listener),
        Some("guest") => serve::main(arguments, serve::Entrance::Porter),
        // A container runtime has no filter of ours, and nothing runs yet but this.
        Some("contained") => match launch::filter_calls() {
            Ok(()) => serve::main(arguments, serve::Entrance::Porter),
            Err(why) => {
                complain(&why);
                ExitCode::FAILURE
            }
        },
        Some("porter") => porter::main(arguments),
        Some("launch") => launch::main(),
        Some("house") => house::main(arguments),
        Some("relay") => relay::main(arguments),
        _ => {
            complain(
                "usage: handd serve CONFIGURATION | handd launch | handd house CONFIGURATION | handd relay SOCKET",
            );
            ExitCode::from(2)
        }
    }
}

/// Says something on standard error. Not `eprintln!`, which panics when nobody is there to read.
fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "handd: {message}");
}
