//! Columns for people: each as wide as its widest cell, the last one as it comes.

use crate::cli::paint::{Paint, Role};

/// A cell, and what it is, if it is to have a colour.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    role: Option<Role>,
    side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// A word, which begins where the column does. Must hold no control characters.
pub(crate) fn word(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), role: None, side: Side::Left }
}

/// A number, which ends where the column does.
pub(crate) fn number(text: impl ToString) -> Cell {
    Cell { text: text.to_string(), role: None, side: Side::Right }
}

impl Cell {
    /// The same in the role's colour.
    pub(crate) fn role(self, role: Role) -> Self {
        Self { role: Some(role), ..self }
    }
}

/// The lines of a table: its heading, if it has one, and its rows, each behind so many blanks.
pub(crate) fn lines(
    heading: &[&str],
    rows: &[Vec<Cell>],
    indent: usize,
    paint: Paint,
) -> Vec<String> {
    let mut all: Vec<Vec<Cell>> = Vec::with_capacity(rows.len() + 1);
    if !heading.is_empty() {
        // A heading stands over its numbers as they stand.
        let side = |at: usize| {
            rows.first().and_then(|row| row.get(at)).map_or(Side::Left, |cell| cell.side)
        };
        let head = heading.iter().enumerate().map(|(at, text)| Cell {
            text: (*text).to_owned(),
            role: Some(Role::Quoted),
            side: side(at),
        });
        all.push(head.collect());
    }
    all.extend_from_slice(rows);
    let mut widths: Vec<usize> = Vec::new();
    for row in &all {
        for (at, cell) in row.iter().enumerate() {
            let width = cell.text.chars().count();
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    all.iter().map(|row| line(row, &widths, indent, paint)).collect()
}

fn line(row: &[Cell], widths: &[usize], indent: usize, paint: Paint) -> String {
    let mut line = " ".repeat(indent);
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        if at > 0 {
            line.push_str("  ");
        }
        let padding = " ".repeat(width.saturating_sub(cell.text.chars().count()));
        let text = cell.role.map_or_else(|| cell.text.clone(), |role| paint.text(role, &cell.text));
        match cell.side {
            Side::Left => line.extend([text, padding]),
            Side::Right => line.extend([padding, text]),
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// A time span in its two greatest units: `3 d 4 h`, `12 min`, `0.4 s`.
pub(crate) fn span(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{:.1} s", seconds.max(0.0));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let seconds = seconds.min(1e15).round() as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) if minutes < 10 => format!("{minutes} min {} s", seconds % 60),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [
            vec![word("kmsg"), number(5), word("reading").role(Role::Good)],
            vec![word("/var/log/kern.log"), number(12_345), word("x")],
        ];
        assert_eq!(
            lines(&["source", "lines", "state"], &rows, 2, Paint::Plain),
            [
                "  source             lines  state",
                "  kmsg                   5  reading",
                "  /var/log/kern.log  12345  x",
            ]
        );
    }

    #[test]
    fn time_is_told_as_people_tell_it() {
        let told = [0.04, 9.94, 59.0, 61.0, 3540.0, 3600.0, 90_061.0].map(span);
        let want = ["0.0 s", "9.9 s", "59 s", "1 min 1 s", "59 min", "1 h 0 min", "1 d 1 h"];
        assert_eq!(told, want);
        assert_eq!(span(f64::INFINITY).split(' ').nth(1), Some("d"));
    }
}
