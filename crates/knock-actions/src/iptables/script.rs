//! A rule as lines for a shell, with the same promise as here: put in once, gone is gone.
//! For at(1), which runs it when nobody of us may be there.

use super::answer::{NOT_THERE, THERE_ALREADY};
use super::intent::{self, Intent};
use super::{HAS_WAIT, Program};
use crate::shell::quoted;

/// Most rules of one text that a removal takes out. One is expected; a stand-in for iptables that
/// always succeeds must not keep the job busy for ever.
const MOST: u32 = 100;

impl Program {
    pub(super) fn script(self, args: &[String]) -> String {
        let call = |args: &[String]| {
            let mut words = vec![self.path.to_owned()];
            if self.version >= HAS_WAIT && !intent::names_a_wait(args) {
                words.push("-w".to_owned());
            }
            words.extend_from_slice(args);
            format!("{} </dev/null", quoted(&words))
        };
        let act = call(args);
        match (Intent::of(args), intent::check(args)) {
            (_, Some(check)) => format!("{{ {} 2>/dev/null || {act}; }}", call(&check)),
            (Intent::TakeOut | Intent::TakeChain, None) => {
                let [rule, chain] = NOT_THERE;
                format!(
                    "{{ n=0 gone=\n\
                     while [ -z \"$gone\" ] && [ $n -lt {MOST} ]; do\n\
                     if said=$({act} 2>&1); then n=$((n+1))\n\
                     else case $said in *'{rule}'*|*'{chain}'*) gone=yes;; *) break;; esac; fi\n\
                     done\n\
                     [ -n \"$gone\" ] || [ $n -eq {MOST} ] || {{ printf '%s\\n' \"$said\" >&2; false; }}; }}"
                )
            }
            (Intent::MakeChain, None) => format!(
                "{{ said=$({act} 2>&1) || case $said in *'{THERE_ALREADY}'*) ;; \
                 *) printf '%s\\n' \"$said\" >&2; false;; esac; }}"
            ),
            (Intent::PutIn | Intent::Other, None) => act,
        }
    }
}
