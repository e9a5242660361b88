//! Links between processes, which can be cut, and healed.
//!
//! Where network namespaces can be had, every process is on a host of its own, with a router between them that drops
//! packets without a word: neither end learns anything but that the other is silent. That needs root and `ip`, of iproute2,
//! nothing else. Everywhere the processes can swallow by themselves what they say and hear.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::member::Order;
use crate::processes::{Controller, Member, TOKEN, Way};

/// What names of namespaces begin with. The number of the process that has made them follows.
const NAME: &str = "cirrus-faults-";

/// Hosts of a network: the controller's is the first, one for each member follows.
pub(crate) trait Network: Sized {
    /// The controller, on the first host.
    fn controller(&self) -> Controller;
    /// A process that has not joined anything, on a host.
    fn member(&self, host: usize, controller: &Controller) -> Member;
    /// Nothing gets from a member's host to another one any more, or from there to it.
    fn cut_off(&self, host: usize, member: &mut Member);
    /// It does again.
    fn let_back(&self, host: usize, member: &mut Member);
    /// Nothing gets from these members' hosts to the controller any more, or from there to them.
    fn cut_controller(&self, controller: &Controller, members: &mut [&mut Member]);
    /// It does again.
    fn let_controller_back(&self, controller: &Controller, members: &mut [&mut Member]);
}

/// Processes of this machine, which swallow what they are told to.
pub(crate) struct Swallowing;

impl Network for Swallowing {
    fn controller(&self) -> Controller {
        Controller::start()
    }

    fn member(&self, _: usize, controller: &Controller) -> Member {
        Member::start(&Way::Faulty, &controller.address, TOKEN)
    }

    fn cut_off(&self, _: usize, member: &mut Member) {
        member.does(Order::CutOff { address: None });
    }

    fn let_back(&self, _: usize, member: &mut Member) {
        member.does(Order::LetBack { address: None });
    }

    fn cut_controller(&self, controller: &Controller, members: &mut [&mut Member]) {
        for member in members {
            member.does(Order::CutOff { address: Some(controller.address.clone()) });
        }
    }

    fn let_controller_back(&self, controller: &Controller, members: &mut [&mut Member]) {
        for member in members {
            member.does(Order::LetBack { address: Some(controller.address.clone()) });
        }
    }
}

/// A router, and hosts around it. Dropped, they are gone; those of a process that was killed go with the next network.
pub(crate) struct Namespaces {
    name: String,
    hosts: usize,
}

impl Namespaces {
    /// A network with so many hosts; `None`, and a word on standard error, where there can be none.
    pub(crate) fn make(hosts: usize) -> Option<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let listed =
            Command::new("ip").args(["netns", "list"]).output().ok().filter(|it| it.status.success());
        let Some(listed) = listed.filter(|_| rustix::process::geteuid().is_root()) else {
            eprintln!("no network namespaces: they need root, and `ip`");
            return None;
        };
        sweep(&String::from_utf8_lossy(&listed.stdout));
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let network = Self { name: format!("{NAME}{}-{number}", std::process::id()), hosts };
        if !network.build() {
            eprintln!("no network namespaces: this system allows none");
            return None;
        }
        eprintln!(
            "{hosts} hosts are network namespaces, and links are cut by rules of the router between them"
        );
        Some(network)
    }

    fn build(&self) -> bool {
        let router = self.router();
        let mut built = ip(&["netns", "add", &router])
            && ip(&["netns", "exec", &router, "sysctl", "-qw", "net.ipv4.ip_forward=1"]);
        for host in 0..self.hosts {
            let (inside, port, own) = (self.host(host), format!("port{host}"), address(host));
            let gateway = format!("10.0.{host}.1");
            built = built
                && ip(&["netns", "add", &inside])
                && ip(&[
                    "link", "add", "eth0", "netns", &inside, "type", "veth", "peer", "name", &port, "netns",
                    &router,
                ])
                && ip(&["-n", &inside, "addr", "add", &format!("{own}/24"), "dev", "eth0"])
                && ip(&["-n", &router, "addr", "add", &format!("{gateway}/24"), "dev", &port])
                && ip(&["-n", &inside, "link", "set", "lo", "up"])
                && ip(&["-n", &inside, "link", "set", "eth0", "up"])
                && ip(&["-n", &router, "link", "set", &port, "up"])
                && ip(&["-n", &inside, "route", "add", "default", "via", &gateway]);
        }
        built
    }

    fn router(&self) -> String {
        format!("{}-router", self.name)
    }

    fn host(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// Adds the rule that drops what a host says and what is said to it, or deletes it.
    fn drop_all(&self, word: &str, host: usize) {
        for direction in ["from", "to"] {
            let done = ip(&["-n", &self.router(), "rule", word, direction, &address(host), "blackhole"]);
            assert!(done, "the router takes no rule");
        }
    }
}

fn address(host: usize) -> String {
    format!("10.0.{host}.2")
}

fn ip(words: &[&str]) -> bool {
    Command::new("ip").args(words).status().is_ok_and(|status| status.success())
}

/// Deletes networks whose processes are gone.
fn sweep(listed: &str) {
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    for name in names.filter(|name| name.starts_with(NAME)) {
        let process = name[NAME.len()..].split('-').next().unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            ip(&["netns", "del", name]);
        }
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.router()]);
        (0..self.hosts).for_each(|host| _ = ip(&["netns", "del", &self.host(host)]));
    }
}

impl Network for Namespaces {
    fn controller(&self) -> Controller {
        Controller::start_at(Way::Inside(self.host(0)), &address(0))
    }

    fn member(&self, host: usize, controller: &Controller) -> Member {
        Member::start(&Way::Inside(self.host(host)), &controller.address, TOKEN)
    }

    fn cut_off(&self, host: usize, _: &mut Member) {
        self.drop_all("add", host);
    }

    fn let_back(&self, host: usize, _: &mut Member) {
        self.drop_all("del", host);
    }

    fn cut_controller(&self, _: &Controller, _: &mut [&mut Member]) {
        self.drop_all("add", 0);
    }

    fn let_controller_back(&self, _: &Controller, _: &mut [&mut Member]) {
        self.drop_all("del", 0);
    }
}
