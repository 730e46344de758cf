//! The processes of an application: one for the services that run together, one
//! for each of the others.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::future::join_all;
use onboard::services::{find, names};
use onboard_stack::component::Spec;
use onboard_stack::ports::Lease;
use onboard_stack::probe::Probe;
use onboard_stack::process::Launch;
use onboard_stack::{Component, Events, Servers, Service, services};

use super::eventually::eventually;
use super::options::{Options, Places};

type Settings = Vec<(String, String)>;

/// The application that the processes belong to.
pub(super) struct Named<'a> {
    pub(super) id: &'a str,
    pub(super) names: &'a str,
    pub(super) places: &'a Places,
}

pub(super) struct Processes {
    /// The processes of the services that run alone.
    alone: BTreeMap<&'static str, Component>,
    /// The process that several services share.
    shared: Option<Component>,
    together: Vec<&'static str>,
    ports: BTreeMap<&'static str, Lease>,
}

impl Processes {
    /// Every process under supervision, not started yet.
    pub(super) fn supervise(
        host: &Servers,
        app: &Named<'_>,
        env: &[(String, String)],
        options: &Options,
        together: Vec<&'static str>,
    ) -> Self {
        let each = names().into_iter().map(|name| (name, name));
        let all: Vec<_> = each.chain(options.more.iter().copied()).collect();
        let ports: BTreeMap<_, _> =
            all.iter().map(|(name, _)| (*name, Lease::any().unwrap())).collect();
        let id = app.id;
        let settings = |name, service| settings(app, &ports, options, (name, service));
        let env: Vec<(&str, &str)> =
            env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut alone = BTreeMap::new();
        for (name, service) in all.iter().filter(|(name, _)| !together.contains(name)) {
            let its_own = settings(name, service);
            let its_own = its_own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let env: Vec<_> = env.iter().copied().chain(its_own).collect();
            let (label, port) = (format!("{name}-{id}"), ports[name].port());
            let service = Service { port, ..find(service).unwrap().of_the_stack() };
            let events = Events::silent();
            let component = match options.program(name) {
                Some(program) => of_another_build(host, &label, service, &env, program),
                None => services::supervise(host, &label, service, &env, &events).unwrap(),
            };
            alone.insert(*name, component);
        }
        let shared = together.first().map(|first| {
            let words = together.iter().flat_map(|name| words(name, settings(name, name), &ports));
            let port = ports[first].port();
            one_process(host, &format!("services-{id}"), port, &words.collect::<Vec<_>>(), &env)
        });
        Self { alone, shared, together, ports }
    }

    /// Starts those that the application begins with.
    pub(super) async fn start(&self, options: &Options) {
        let names = options.services.iter().chain(options.more.iter().map(|(name, _)| name));
        let names: Vec<_> = names.collect();
        let alone = names.iter().filter_map(|name| self.alone.get(*name));
        for component in self.shared.iter().chain(alone) {
            component.request_start().await.unwrap();
        }
        join_all(names.into_iter().map(|name| self.ready(name))).await;
    }

    /// The process of one service.
    pub(super) fn of(&self, name: &str) -> &Component {
        self.alone.get(name).unwrap_or_else(|| {
            panic!("{name} runs together with others; say `Options::apart(&[\"{name}\"])`")
        })
    }

    /// Waits until `/readyz` says yes.
    pub(super) async fn ready(&self, name: &str) {
        match &self.shared {
            Some(shared) if self.together.contains(&name) => {
                shared.ready(Duration::from_mins(1)).await.unwrap();
                let probe = Probe::Service { port: self.port(name) };
                eventually(&format!("{name} is ready"), async || probe.ask().await).await;
            }
            _ => self.of(name).ready(Duration::from_mins(1)).await.unwrap(),
        }
    }

    pub(super) fn port(&self, name: &str) -> u16 {
        self.ports[name].port()
    }

    /// Stops all of them, gracefully.
    pub(super) async fn stop(&self) {
        let all = self.shared.iter().chain(self.alone.values());
        join_all(all.map(async |component| component.stop().await.unwrap())).await;
    }
}

/// The settings that one component alone has.
fn settings(
    app: &Named<'_>,
    ports: &BTreeMap<&'static str, Lease>,
    options: &Options,
    (name, service): (&str, &str),
) -> Settings {
    let mut settings = Vec::new();
    if options.failing == Some(service) {
        settings
            .push(("MONGODB_URI".into(), format!("{}&appName={}", app.places.mongodb_uri, app.id)));
    }
    if service == "todo" {
        let auth = ports["auth"].port();
        settings
            .push(("JWKS_URL".into(), format!("http://127.0.0.1:{auth}/.well-known/jwks.json")));
    }
    for (component, setting, value) in &options.env_for {
        if *component == name {
            settings.retain(|(set, _)| set != setting);
            settings.push((
                (*setting).into(),
                value.replace("{id}", app.id).replace("{names}", app.names),
            ));
        }
    }
    settings
}

/// A service among the arguments of the process that several share.
fn words(
    name: &'static str,
    settings: Settings,
    ports: &BTreeMap<&'static str, Lease>,
) -> Vec<String> {
    let address = format!("ONBOARD_HTTP_ADDRESS=127.0.0.1:{}", ports[name].port());
    let settings = settings.into_iter().map(|(name, value)| format!("{name}={value}"));
    [name.to_owned(), address].into_iter().chain(settings).collect()
}

fn one_process(
    host: &Servers,
    label: &str,
    port: u16,
    words: &[String],
    env: &[(&str, &str)],
) -> Component {
    let args: Vec<&str> =
        std::iter::once("together").chain(words.iter().map(String::as_str)).collect();
    launched(host, label, port, host.launch(label, &args, env))
}

/// A service that another build of the program runs.
fn of_another_build(
    host: &Servers,
    label: &str,
    service: Service,
    env: &[(&str, &str)],
    program: &Path,
) -> Component {
    let address = format!("127.0.0.1:{}", service.port);
    let address = [("ONBOARD_HTTP_ADDRESS", address.as_str())];
    let env: Vec<_> = address.into_iter().chain(env.iter().copied()).collect();
    let launch = host.launch(label, &[service.name], &env);
    launched(host, label, service.port, Launch { program: program.to_owned(), ..launch })
}

fn launched(host: &Servers, label: &str, port: u16, launch: Launch) -> Component {
    let spec = Spec {
        name: label.to_owned(),
        launch,
        probe: Probe::Service { port },
        port,
        ready_within: Duration::from_mins(1),
        stop_within: Duration::from_secs(30),
    };
    Component::supervise(spec, host.exe().to_owned(), Events::silent()).unwrap()
}
