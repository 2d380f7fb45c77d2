//! What the words of an iptables call are about to do, as far as that decides whether it may be
//! done twice. Everything else in them is left alone.

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// `-A`, `-I`: a rule, wanted once.
    PutIn,
    /// `-D` with a rule: wanted gone, every one of it.
    TakeOut,
    /// `-X` with a chain: wanted gone.
    TakeChain,
    /// `-N`: a chain, wanted once.
    MakeChain,
    /// Anything else; also `-D CHAIN 3`, which takes out another rule the second time.
    Other,
}

impl Intent {
    pub(super) fn of(args: &[String]) -> Self {
        match Verb::find(args) {
            Some(Verb { kind: Kind::Append | Kind::Insert, .. }) => Self::PutIn,
            Some(verb @ Verb { kind: Kind::Delete, .. }) if verb.number(args).is_none() => {
                Self::TakeOut
            }
            Some(Verb { kind: Kind::DeleteChain, .. }) => Self::TakeChain,
            Some(Verb { kind: Kind::NewChain, .. }) => Self::MakeChain,
            Some(Verb { kind: Kind::Delete, .. }) | None => Self::Other,
        }
    }
}

/// The call that asks whether the rule of a `-A` or `-I` is there; `None` for all others.
pub(super) fn check(args: &[String]) -> Option<Vec<String>> {
    let verb = Verb::find(args)?;
    match verb.kind {
        Kind::Append | Kind::Insert => Some(verb.turned(args, "-C", "--check")),
        Kind::Delete | Kind::NewChain | Kind::DeleteChain => None,
    }
}

/// The calls that take out the first of two equal rules and ask for the other, where the rule of an
/// `-I` goes to the top of a chain of the usual table; `None` for all others.
pub(super) fn first_of_two(args: &[String]) -> Option<[Vec<String>; 2]> {
    let verb = Verb::find(args)?;
    let at_top = matches!(verb.kind, Kind::Insert) && verb.number(args).is_none();
    let elsewhere = |word: &String| {
        word.starts_with("--table") || (word.starts_with("-t") && !word.starts_with("--"))
    };
    if !at_top || names_a_wait(args) || args.iter().any(elsewhere) {
        return None;
    }
    Some([verb.turned(args, "-D", "--delete"), verb.turned(args, "-C", "--check")])
}

/// Whether the words say themselves how long to wait for the lock.
pub(super) fn names_a_wait(args: &[String]) -> bool {
    args.iter().any(|word| {
        word.starts_with("--wait") || (word.starts_with("-w") && !word.starts_with("--"))
    })
}

/// The word that says what to do with a rule or chain.
#[derive(Clone, Copy, Debug)]
struct Verb<'a> {
    kind: Kind,
    spelling: Spelling,
    /// Which of the words it is.
    at: usize,
    /// The rest of that word: `INPUT` of `-IINPUT`, `=INPUT` of `--insert=INPUT`.
    attached: &'a str,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Append,
    Insert,
    Delete,
    NewChain,
    DeleteChain,
}

#[derive(Clone, Copy, Debug)]
enum Spelling {
    Short,
    Long,
}

const VERBS: &[(Kind, &str, &str)] = &[
    (Kind::Append, "-A", "--append"),
    (Kind::Insert, "-I", "--insert"),
    (Kind::Delete, "-D", "--delete"),
    (Kind::NewChain, "-N", "--new-chain"),
    (Kind::DeleteChain, "-X", "--delete-chain"),
];

impl<'a> Verb<'a> {
    fn find(args: &'a [String]) -> Option<Self> {
        args.iter().enumerate().find_map(|(at, word)| {
            VERBS.iter().find_map(|&(kind, short, long)| {
                if let Some(attached) = word.strip_prefix(short) {
                    return Some(Self { kind, spelling: Spelling::Short, at, attached });
                }
                let attached = word.strip_prefix(long)?;
                let whole = attached.is_empty() || attached.starts_with('=');
                whole.then_some(Self { kind, spelling: Spelling::Long, at, attached })
            })
        })
    }

    /// The words with another verb, and without the place in the chain.
    fn turned(&self, args: &[String], short: &str, long: &str) -> Vec<String> {
        let position = self.number(args);
        let verb = match self.spelling {
            Spelling::Short => short,
            Spelling::Long => long,
        };
        let verb = format!("{verb}{}", self.attached);
        let words = args.iter().enumerate().filter(|(at, _)| Some(*at) != position);
        words.map(|(at, word)| if at == self.at { verb.clone() } else { word.clone() }).collect()
    }

    /// Where the rule's number behind the chain stands, if there is one.
    fn number(&self, args: &[String]) -> Option<usize> {
        let at = if self.attached.is_empty() { self.at + 2 } else { self.at + 1 };
        let is_number =
            |word: &String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        args.get(at).is_some_and(is_number).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(line: &str, intent: Intent, checked: Option<&str>) {
        let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
        assert_eq!(Intent::of(&args), intent, "{line}");
        assert_eq!(check(&args).map(|words| words.join(" ")).as_deref(), checked, "{line}");
    }

    #[test]
    fn what_is_put_in_is_asked_for_first() {
        let put_in = |line, checked| judge(line, Intent::PutIn, Some(checked));
        put_in("-I INPUT -s 192.0.2.7 -j ACCEPT", "-C INPUT -s 192.0.2.7 -j ACCEPT");
        put_in("-I INPUT 3 -p tcp --dport 22", "-C INPUT -p tcp --dport 22");
        put_in("-t nat -A OUTPUT -j ACCEPT", "-t nat -C OUTPUT -j ACCEPT");
        put_in("-p 6 --insert INPUT 1 -j ACCEPT", "-p 6 --check INPUT -j ACCEPT");
        put_in("--append=INPUT -j ACCEPT", "--check=INPUT -j ACCEPT");
        put_in("-IINPUT 2 -j ACCEPT", "-CINPUT -j ACCEPT");
        put_in("-A INPUT -m comment --comment 7", "-C INPUT -m comment --comment 7");
    }

    #[test]
    fn the_rest_is_run_as_it_is() {
        judge("-D INPUT -s 192.0.2.7 -j ACCEPT", Intent::TakeOut, None);
        judge("--delete INPUT -j ACCEPT", Intent::TakeOut, None);
        judge("-D INPUT 3", Intent::Other, None);
        judge("-X knocked", Intent::TakeChain, None);
        judge("--delete-chain knocked", Intent::TakeChain, None);
        judge("-N knocked", Intent::MakeChain, None);
        judge("-F INPUT", Intent::Other, None);
        judge("-P INPUT DROP", Intent::Other, None);
        judge("", Intent::Other, None);
    }

    #[test]
    fn a_wait_of_the_templates_own_is_seen() {
        let names = |line: &str| names_a_wait(&[line.to_owned()]);
        assert!(names("-w") && names("-w5") && names("--wait") && names("--wait=5"));
        assert!(!names("-W") && !names("--weekdays"));
    }
}
