//! The addresses that stand for names inside one sandbox.
//!
//! A program asks the resolver, gets an address that exists nowhere, and connects to it: the socket tells the address,
//! this table the name. So the name is known without a query having left, and it is resolved where it is dialled.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::host::Name;

/// Names of one sandbox. The least recently used one is forgotten first.
const MOST: usize = 8_192;

pub(crate) struct Names {
    range: Ipv4Net,
    /// Where the next address is looked for. It goes round, so that the address of a forgotten name is given to another
    /// as late as can be: programs remember addresses for longer than they should.
    next: u32,
    used: u64,
    by_name: HashMap<Name, Entry>,
    by_address: HashMap<Ipv4Addr, Name>,
    by_use: BTreeMap<u64, Name>,
}

struct Entry {
    address: Ipv4Addr,
    used: u64,
}

impl Names {
    pub(crate) fn new(range: Ipv4Net) -> Self {
        Self { range, next: 0, used: 0, by_name: HashMap::new(), by_address: HashMap::new(), by_use: BTreeMap::new() }
    }

    /// The address that stands for `name`, the same one as long as the name is in use.
    pub(crate) fn address_of(&mut self, name: &Name) -> Ipv4Addr {
        if let Some(entry) = self.by_name.get(name) {
            let address = entry.address;
            self.touch(name);
            return address;
        }
        while self.by_name.len() >= self.most() {
            self.forget_oldest();
        }
        let address = self.free_address();
        self.used += 1;
        self.by_name.insert(name.clone(), Entry { address, used: self.used });
        self.by_address.insert(address, name.clone());
        self.by_use.insert(self.used, name.clone());
        address
    }

    /// The name that `address` stands for.
    pub(crate) fn name_of(&mut self, address: Ipv4Addr) -> Option<Name> {
        let name = self.by_address.get(&address)?.clone();
        self.touch(&name);
        Some(name)
    }

    fn touch(&mut self, name: &Name) {
        self.used += 1;
        if let Some(entry) = self.by_name.get_mut(name) {
            self.by_use.remove(&entry.used);
            entry.used = self.used;
            self.by_use.insert(self.used, name.clone());
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, name)) = self.by_use.pop_first()
            && let Some(entry) = self.by_name.remove(&name)
        {
            self.by_address.remove(&entry.address);
        }
    }

    /// There is one: fewer names are kept than there are addresses.
    fn free_address(&mut self) -> Ipv4Addr {
        loop {
            // The first and the last of a range are no machine's.
            let offset = 1 + self.next % (self.size() - 2);
            self.next = self.next.wrapping_add(1);
            let address = Ipv4Addr::from_bits(self.range.network().to_bits() | offset);
            if !self.by_address.contains_key(&address) {
                return address;
            }
        }
    }

    fn most(&self) -> usize {
        MOST.min(usize::try_from(self.size() / 2).unwrap_or(MOST))
    }

    /// How many addresses there are, at least four: smaller ranges are taken for one of four.
    fn size(&self) -> u32 {
        1 << (32 - u32::from(self.range.prefix_len())).clamp(2, 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_has_one_address_and_an_address_one_name() {
        let mut names = Names::new("198.18.0.0/15".parse().unwrap());
        let first = names.address_of(&name("a.example"));
        let second = names.address_of(&name("b.example"));
        assert_eq!(first, Ipv4Addr::new(198, 18, 0, 1));
        assert_ne!(first, second);
        assert_eq!(names.address_of(&name("a.example")), first);
        assert_eq!(names.name_of(first), Some(name("a.example")));
        assert_eq!(names.name_of(second), Some(name("b.example")));
        assert_eq!(names.name_of(Ipv4Addr::new(198, 18, 9, 9)), None);
    }

    #[test]
    fn the_least_recently_used_name_is_forgotten_and_its_address_rests() {
        let mut names = Names::new("198.18.0.0/28".parse().unwrap());
        let addresses: Vec<_> = (0..8).map(|n| names.address_of(&name(&format!("n{n}.example")))).collect();
        assert_eq!(names.address_of(&name("n0.example")), addresses[0]);
        let another = names.address_of(&name("n8.example"));
        assert!(!addresses.contains(&another));
        assert_eq!(names.name_of(addresses[0]), Some(name("n0.example")));
        assert_eq!(names.name_of(addresses[1]), None);
    }

    #[test]
    fn no_flood_of_names_makes_it_grow_or_give_an_address_twice() {
        let mut names = Names::new("198.18.0.0/15".parse().unwrap());
        for n in 0..3 * MOST {
            let address = names.address_of(&name(&format!("n{n}.example")));
            assert!(names.range.contains(&address));
            assert_eq!(names.name_of(address), Some(name(&format!("n{n}.example"))));
        }
        assert_eq!(names.by_name.len(), MOST);
        assert_eq!(names.by_address.len(), MOST);
        assert_eq!(names.by_use.len(), MOST);
    }

    #[test]
    fn the_smallest_ranges_still_give_an_address() {
        for range in ["198.18.0.0/30", "198.18.0.4/32"] {
            let mut names = Names::new(range.parse().unwrap());
            for n in 0..9 {
                let address = names.address_of(&name(&format!("n{n}.example")));
                assert_eq!(names.name_of(address), Some(name(&format!("n{n}.example"))));
            }
        }
    }
}
