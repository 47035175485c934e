//! The scenarios, and what they share: a server, a probe, windows.

mod calls;
mod durable;
mod fan;
mod idle;
mod login;
mod otp;
mod read;
mod refresh;
mod verify;

use std::io::Write;
use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::Context;

use crate::args::{Options, Scenario};
use crate::fleet::Fleet;
use crate::http::{Client, Target};
use crate::probe::Probe;
use crate::report::{self, Outcome};
use crate::server::Server;
use crate::setup::{Account, Setup};

/// What a scenario works with.
struct Ground<'a> {
    options: &'a Options,
    scenario: Scenario,
    target: Target,
    probe: Probe,
    setup: Setup,
    out: &'a mut dyn Write,
    /// One for each window.
    outcomes: Vec<Outcome>,
}

/// Runs one scenario and gives the exit code.
pub(crate) fn run(
    scenario: Scenario,
    options: &Options,
    out: &mut dyn Write,
    talk: &mut dyn Write,
) -> anyhow::Result<i32> {
    let server = options.server.as_deref().map(Server::start).transpose()?;
    crate::pin(options.pin)?;
    let url = server
        .as_ref()
        .map_or(options.url.as_str(), |server| &server.url);
    let target = Target::parse(url)?;
    let probe = Probe::new(options, server.as_ref().and_then(Server::pid))?;
    let source: Option<Ipv4Addr> = options.sources.first().copied();
    let mut ground = Ground {
        options,
        scenario,
        probe,
        setup: Setup::new(Client::new(target.clone(), source)),
        target,
        out,
        outcomes: Vec::new(),
    };
    writeln!(talk, "{}: setting up on {url}", scenario.name())?;
    match scenario {
        Scenario::Idle => idle::run(&mut ground)?,
        Scenario::Fan { in_flight } => fan::run(&mut ground, in_flight)?,
        Scenario::Durable => durable::run(&mut ground)?,
        Scenario::Read(reading) => read::run(&mut ground, reading)?,
        Scenario::Verify => verify::run(&mut ground)?,
        Scenario::Refresh => refresh::run(&mut ground)?,
        Scenario::Login => login::run(&mut ground)?,
        Scenario::Otp => otp::run(&mut ground)?,
    }
    Ok(report::exit_code(&ground.outcomes, options.judging))
}

impl Ground<'_> {
    fn fleet(&self) -> anyhow::Result<Fleet> {
        Fleet::new(self.target.clone(), self.options.sources.clone())
    }

    /// Prints a window and keeps it for the end.
    fn report(
        &mut self,
        counts: &report::Counts,
        between: &crate::probe::Between,
    ) -> anyhow::Result<()> {
        let round = u32::try_from(self.outcomes.len()).unwrap_or(u32::MAX);
        let window = report::window(
            self.scenario.name(),
            round + 1,
            self.options,
            &self.probe,
            counts,
            between,
        );
        report::print(&window, self.options.output, self.out)?;
        self.outcomes.push(window.outcome());
        Ok(())
    }

    /// A community with a channel, and as many members as the sockets need, but at least `least`.
    ///
    /// People and not bots: a community has room for 250 roles and every bot brings one, and a
    /// bot may send 50 messages a second in all.
    fn room(&mut self, least: usize) -> anyhow::Result<Room> {
        let accounts = self.options.sockets.div_ceil(self.options.per_user);
        let people = (0..accounts.max(least))
            .map(|_| self.setup.sign_up())
            .collect::<anyhow::Result<Vec<_>>>()?;
        let (owner, others) = people.split_first().context("nobody is there")?;
        let community = self.setup.community(owner)?;
        let channel = self.setup.channel(owner, &community, "bench")?;
        let code = self.setup.invite(owner, &channel)?;
        for person in others {
            self.setup.join(person, &code)?;
        }
        Ok(Room { channel, people })
    }
}

/// A channel and those who are in it.
struct Room {
    channel: String,
    people: Vec<Account>,
}

impl Room {
    /// One token per socket.
    fn tokens(&self, sockets: usize, per_user: usize) -> Vec<Rc<str>> {
        let each = self
            .people
            .iter()
            .flat_map(|person| std::iter::repeat_n(&person.token, per_user));
        each.take(sockets).map(Rc::clone).collect()
    }
}
