//! Takes our rules and our table out of nftables: only what is ours in the very state of the rules that the
//! kernel then changes. A rule goes by its number, and after a reload of the rule set that number is
//! another's; so each transaction says which state it was made for, and the kernel refuses it for any other.

use super::chains::{self, ChainName};
use super::elements::{self, Set};
use super::layout;
use super::{SUBSYSTEM, TABLE};
use crate::netlink::message::{Question, attribute, be32, flags};
use crate::netlink::{Fault, Socket};
use crate::nftables::chains::{Chain, Rule};
use crate::nftables::marking::Marking;

const DELETE_TABLE: u8 = 2;
const DELETE_CHAIN: u8 = 5;
const DELETE_RULE: u8 = 8;
const DELETE_SET: u8 = 11;
const GET_GENERATION: u8 = 16;

const TABLE_NAME: u16 = 1;
/// Of a chain. A set's name has another number than a chain's.
const CHAIN_NAME: u16 = 3;
const SET_NAME: u16 = 2;
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const GENERATION: u16 = 1;

/// Each lease that comes or goes changes the state, too.
const TRIES: u32 = 50;

/// Takes our rules out of a chain of somebody's, but for so many; how many went.
pub(crate) fn rules(socket: &mut Socket, name: &ChainName, wanted: usize) -> Result<usize, Fault> {
    unchanged(socket, |_, chains| {
        let chain = chains.iter().find(|chain| chain.name == *name);
        let rules = chain.into_iter().flat_map(|chain| &chain.rules);
        rules
            .filter(|rule| rule.is_ours)
            .skip(wanted)
            .map(|rule| delete(name, rule.handle))
            .collect()
    })
}

/// Takes the table of our name away with all that it holds, if it is ours by this judgement; whether it
/// went.
pub(crate) fn table(
    socket: &mut Socket,
    is_ours: fn(&[Set], &[Chain]) -> bool,
) -> Result<bool, Fault> {
    let gone = unchanged(socket, |sets, chains| {
        let is_there = !sets.is_empty() || chains.iter().any(layout::is_own);
        let mut question = Question::new(SUBSYSTEM, DELETE_TABLE, flags::ACK, chains::INET);
        question.text(TABLE_NAME, TABLE);
        (is_there && is_ours(sets, chains)).then_some(question).into_iter().collect()
    });
    gone.map(|gone| gone > 0)
}

/// Takes all of ours out of our table, where others have put something into it; whether there was any.
pub(crate) fn ours_beside_others(socket: &mut Socket) -> Result<bool, Fault> {
    let gone = unchanged(socket, |sets, chains| {
        if !layout::is_ours(sets, chains) || layout::is_ours_alone(sets, chains) {
            return Vec::new();
        }
        let mut changes = Vec::new();
        if let Some(own) = layout::own(chains) {
            let ours = own.rules.iter().filter(|rule| rule.marking.is_some());
            changes.extend(ours.map(|rule| delete(&own.name, rule.handle)));
            if changes.len() == own.rules.len() {
                changes.push(delete_named(DELETE_CHAIN, &own.name.chain));
            }
        }
        let sets = sets.iter().filter(|set| set.is_as_ours);
        changes.extend(sets.map(|set| delete_named(DELETE_SET, &set.name)));
        changes
    });
    gone.map(|gone| gone > 0)
}

/// Takes out of our chain what marks, but for the first of each rule of ours.
pub(crate) fn marking_beside_ours(socket: &mut Socket) -> Result<(), Fault> {
    let gone = unchanged(socket, |_, chains| {
        let mut ours = Vec::new();
        let is_beside = |rule: &&Rule| match rule.marking {
            None => false,
            Some(Marking::Otherwise) => true,
            // By what it does, not by its place: somebody may have put a rule before ours by now.
            Some(known) if ours.contains(&known) => true,
            Some(new) => {
                ours.push(new);
                false
            }
        };
        let Some(own) = layout::own(chains) else { return Vec::new() };
        let beside = own.rules.iter().filter(is_beside);
        beside.map(|rule| delete(&own.name, rule.handle)).collect()
    });
    gone.map(drop)
}

/// Looks and changes, with nobody in between; how many changes there were.
fn unchanged(
    socket: &mut Socket,
    changes: impl Fn(&[Set], &[Chain]) -> Vec<Question>,
) -> Result<usize, Fault> {
    for _ in 0..TRIES {
        let generation = generation(socket)?;
        let chains = chains::chains(socket)?;
        let sets = elements::sets(socket)?;
        let changes = changes(&sets, &chains);
        let count = changes.len();
        if count == 0 {
            return Ok(0);
        }
        match socket.batch_of(generation, changes) {
            Err(Fault::STALE) => {}
            other => return other.map(|()| count),
        }
    }
    Err(Fault::STALE)
}

/// The number of the state that the rules are in.
fn generation(socket: &mut Socket) -> Result<Option<u32>, Fault> {
    let question = Question::new(SUBSYSTEM, GET_GENERATION, flags::ACK, 0);
    let told = socket.dump(&question, |_, _, body, told| {
        told.extend(attribute(body, GENERATION).and_then(be32));
    })?;
    Ok(told.first().copied())
}

fn delete(name: &ChainName, handle: u64) -> Question {
    let mut question = Question::new(SUBSYSTEM, DELETE_RULE, flags::ACK, name.family_number());
    question
        .text(RULE_TABLE, &name.table)
        .text(RULE_CHAIN, &name.chain)
        .bytes(RULE_HANDLE, &handle.to_be_bytes());
    question
}

/// A chain or a set of our table.
fn delete_named(kind: u8, name: &str) -> Question {
    let mut question = Question::new(SUBSYSTEM, kind, flags::ACK, chains::INET);
    let name_is = if kind == DELETE_SET { SET_NAME } else { CHAIN_NAME };
    question.text(TABLE_NAME, TABLE).text(name_is, name);
    question
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::testing::{again_inside, level};

    fn run(words: &[&str]) {
        assert!(Command::new(words[0]).args(&words[1..]).status().unwrap().success(), "{words:?}");
    }

    #[test]
    fn a_change_that_was_made_for_another_state_is_refused_by_the_kernel() {
        if level().is_none() {
            return again_inside(
                "nftables::taking::tests::a_change_that_was_made_for_another_state_is_refused_by_the_kernel",
                "1",
                "-Urn",
            );
        }
        run(&["nft", "add table inet mine"]);
        run(&["nft", "add chain inet mine input"]);
        run(&["nft", "add rule inet mine input tcp dport 80 accept"]);
        let mut socket = Socket::open().unwrap();
        let chains = chains::chains(&mut socket).unwrap();
        let (name, handle) = (&chains[0].name, chains[0].rules[0].handle);
        let before = generation(&mut socket).unwrap();
        assert!(before.is_some());
        run(&["nft", "add table inet other"]);
        assert_eq!(socket.batch_of(before, vec![delete(name, handle)]), Err(Fault::STALE));
        assert_eq!(chains::chains(&mut socket).unwrap()[0].rules.len(), 1);
        let now = generation(&mut socket).unwrap();
        assert_eq!(socket.batch_of(now, vec![delete(name, handle)]), Ok(()));
        assert_eq!(chains::chains(&mut socket).unwrap()[0].rules.len(), 0);
    }
}
