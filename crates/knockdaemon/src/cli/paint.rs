//! Colours on a terminal, and none elsewhere or where `NO_COLOR` asks for none.
//! What is coloured is the caller's to say; nothing is told by colour alone.

use clap::builder::styling::{AnsiColor, Style};

/// How results are written to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paint {
    /// With colours.
    Colours,
    /// As plain text.
    Plain,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A success.
    Good,
    /// A refusal.
    Bad,
    /// Something to look at.
    Notable,
    /// What others wrote.
    Quoted,
    /// A heading.
    Strong,
    /// One of several kinds that stand side by side.
    Kind(usize),
}

impl Paint {
    /// What standard output takes: `NO_COLOR`, `CLICOLOR_FORCE` and the like are honoured.
    pub(crate) fn of_stdout() -> Self {
        match anstream::AutoStream::choice(&std::io::stdout()) {
            anstream::ColorChoice::Never => Self::Plain,
            _ => Self::Colours,
        }
    }

    /// The text in the role's colour. Any control character in it must have been escaped before.
    pub(crate) fn text(self, role: Role, text: &str) -> String {
        if self == Self::Plain || text.is_empty() {
            return text.to_owned();
        }
        let style = role.style();
        format!("{style}{text}{style:#}")
    }
}

impl Role {
    fn style(self) -> Style {
        const KINDS: [AnsiColor; 6] = [
            AnsiColor::Green,
            AnsiColor::Yellow,
            AnsiColor::Cyan,
            AnsiColor::Magenta,
            AnsiColor::Blue,
            AnsiColor::Red,
        ];
        match self {
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Notable => AnsiColor::Yellow.on_default().bold(),
            Self::Quoted => Style::new().dimmed(),
            Self::Strong => Style::new().bold(),
            Self::Kind(nth) => {
                let colour = KINDS.get(nth % KINDS.len()).copied().unwrap_or(AnsiColor::Green);
                let style = colour.on_default().underline();
                if nth < KINDS.len() { style } else { style.bold() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_what_it_is() {
        assert_eq!(Paint::Plain.text(Role::Bad, "no"), "no");
        assert_eq!(Paint::Colours.text(Role::Bad, "no"), "\u{1b}[31mno\u{1b}[0m");
        assert_eq!(Paint::Colours.text(Role::Good, ""), "");
    }
}
