//! All output. Data goes to stdout, words to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::cli::{Colour, Global};
use crate::system::System;

/// How to print.
#[derive(Debug)]
pub(crate) struct Printer {
    /// Data as JSON.
    pub(crate) json: bool,
    colour: bool,
    progress: bool,
}

/// A role that a piece of text plays.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Heading,
    Good,
    Bad,
    Dim,
}

impl Printer {
    /// Decides once, from flags, `NO_COLOR` and whether somebody is looking.
    pub(crate) fn new(global: &Global, system: &System) -> Self {
        let colour = match global.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => io::stdout().is_terminal() && system.var("NO_COLOR").is_none() && system.var("TERM") != Some("dumb"),
        };
        Self { json: global.json, colour, progress: io::stderr().is_terminal() && !global.json }
    }

    /// Whether a progress bar makes sense.
    pub(crate) fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Text in its style, if colour is on.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Heading => "1",
            Style::Good => "32",
            Style::Bad => "31",
            Style::Dim => "2",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line of data. A reader that has gone away ends the program quietly, as `head` expects.
    pub(crate) fn data(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// Data as it is, without a line feed.
    pub(crate) fn raw(&self, bytes: &[u8]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()
    }

    /// A token: a line on a terminal, the token alone in a file or a pipe. SDKs read a token's file without trimming it, so a line feed
    /// would be sent along (A-90, E-70).
    pub(crate) fn token(&self, token: &str) -> io::Result<()> {
        if io::stdout().is_terminal() { self.data(token) } else { self.raw(token.as_bytes()) }
    }

    /// Data as JSON.
    pub(crate) fn object(&self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.data(&text)
    }

    /// Words for a person.
    pub(crate) fn say(&self, text: &str) {
        // Nobody is helped by an error about an error.
        let _ = writeln!(io::stderr().lock(), "{text}");
    }
}
