//! The rules of the house over packages: what may depend on what, and with which features.
//!
//! They look at what the manifests ask for, as `cargo metadata` reports it, not at one resolved build: a
//! dependency that is off by default or of tests alone counts like any other.

use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::rules::Offence;

/// Each package and what of ours it may depend on: the layers, from the lowest up.
const LAYERS: [(&str, &[&str]); 10] = [
    ("cirrus-core", &[]),
    ("cirrus-protocol", &["cirrus-core"]),
    ("cirrus-transport", &["cirrus-protocol"]),
    ("cirrus-runtime", &["cirrus-core", "cirrus-protocol", "cirrus-transport"]),
    ("cirrus-ml", &["cirrus-core", "cirrus-protocol", "cirrus-transport", "cirrus-runtime"]),
    ("cirrus", &["cirrus-core", "cirrus-protocol", "cirrus-transport", "cirrus-runtime", "cirrus-ml"]),
    ("cirrus-verification", &["cirrus-core", "cirrus-protocol", "cirrus-transport", "cirrus-runtime"]),
    ("cirrus-fuzz", &["cirrus-verification"]),
    (
        "cirrus-benches",
        &["cirrus-core", "cirrus-protocol", "cirrus-transport", "cirrus-runtime", "cirrus-ml", "cirrus"],
    ),
    ("no-std-proof", &["cirrus-core", "cirrus-protocol"]),
];

/// The one feature of core that makes a build unfit for use, and the one package that may ask for it.
const SEEDED_BUGS: (&str, &str) = ("seeded-bugs", "cirrus-verification");

/// What core may take in when somebody asks for it, as everybody who records does: it reads and writes values, and adds
/// nothing to a build without it.
const OPTIONAL_IN_CORE: &str = "serde";

/// A package as far as the rules need it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// The binary that `cargo run` means, if it says so.
    pub(crate) default_run: Option<String>,
    /// What it asks for.
    pub(crate) asks: Vec<Ask>,
    /// Its features, and what each turns on.
    pub(crate) features: Vec<(String, Vec<String>)>,
}

/// A dependency.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    /// The package.
    pub(crate) name: String,
    /// Whether it is one of ours, by path.
    pub(crate) ours: bool,
    /// The versions that will do.
    pub(crate) versions: String,
    /// Features asked for.
    pub(crate) features: Vec<String>,
    /// Whether only tests need it.
    pub(crate) tests: bool,
    /// Whether it is there only where somebody turns a feature on.
    pub(crate) optional: bool,
}

impl From<&Package> for Member {
    fn from(package: &Package) -> Self {
        let asks = package.dependencies.iter().map(|dependency| Ask {
            name: dependency.name.clone(),
            ours: dependency.path.is_some(),
            versions: dependency.req.to_string(),
            features: dependency.features.clone(),
            tests: dependency.kind == DependencyKind::Development,
            optional: dependency.optional,
        });
        Self {
            name: package.name.to_string(),
            default_run: package.default_run.clone(),
            asks: asks.collect(),
            features: package.features.iter().map(|(name, on)| (name.clone(), on.clone())).collect(),
        }
    }
}

/// The members of the workspace, and the packages beside it: fuzz targets, and the proof that core needs no std.
pub(crate) fn all(root: &Path) -> Vec<Member> {
    let manifests = ["Cargo.toml", "fuzz/Cargo.toml", ".ci/no-std-proof/Cargo.toml"];
    let present = manifests.iter().map(|manifest| root.join(manifest)).filter(|manifest| manifest.exists());
    let described = present.map(|manifest| {
        let answer: Result<Metadata, _> = MetadataCommand::new().manifest_path(&manifest).no_deps().exec();
        answer.unwrap_or_else(|error| panic!("cargo metadata of {}: {error}", manifest.display()))
    });
    described.flat_map(|metadata| metadata.packages.iter().map(Member::from).collect::<Vec<_>>()).collect()
}

/// Dependencies point down the layers only.
pub(crate) fn directions(members: &[Member]) -> Vec<Offence> {
    let mut found = Vec::new();
    for member in members {
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == member.name) else {
            found.push(Offence::new(&member.name, "is in no layer; add it to the table of the house test"));
            continue;
        };
        for ask in member.asks.iter().filter(|ask| ask.ours && !allowed.contains(&ask.name.as_str())) {
            found.push(Offence::new(
                &member.name,
                format!("depends on {}, which its layer may not use", ask.name),
            ));
        }
    }
    found
}

/// Core stands on `alloc` alone, but for what is off by default.
pub(crate) fn core_alone(members: &[Member]) -> Vec<Offence> {
    let core = members.iter().filter(|member| member.name == "cirrus-core");
    let default = |member: &Member| {
        member.features.iter().any(|(name, turns_on)| name == "default" && !turns_on.is_empty())
    };
    core.flat_map(|member| {
        let optional = |ask: &Ask| ask.optional && ask.name == OPTIONAL_IN_CORE && !default(member);
        let asks = member.asks.iter().filter(move |ask| !ask.tests && !optional(ask));
        asks.map(|ask| Offence::new(&member.name, format!("depends on {}", ask.name)))
    })
    .collect()
}

/// Every dependency from outside says which versions will do.
pub(crate) fn any_version(members: &[Member]) -> Vec<Offence> {
    let mut found = Vec::new();
    for member in members {
        for ask in member.asks.iter().filter(|ask| !ask.ours && ask.versions.contains('*')) {
            found.push(Offence::new(&member.name, format!("takes {} in version {}", ask.name, ask.versions)));
        }
    }
    found
}

/// `cargo run` at the root means `cirrus`.
pub(crate) fn default_run(members: &[Member]) -> Vec<Offence> {
    let wanted = |member: &Member| (member.name == "cirrus").then_some("cirrus");
    let wrong = members.iter().filter(|member| member.default_run.as_deref() != wanted(member));
    wrong
        .map(|member| {
            Offence::new(
                &member.name,
                format!("has default-run {:?}, expected {:?}", member.default_run, wanted(member)),
            )
        })
        .collect()
}

/// Nobody but `verification` can turn the seeded bugs on.
pub(crate) fn seeded_bugs(members: &[Member]) -> Vec<Offence> {
    let (feature, allowed) = SEEDED_BUGS;
    let turns_on = |name: &String| name == feature || name.ends_with(&format!("/{feature}"));
    let mut found = Vec::new();
    for member in members.iter().filter(|member| member.name != allowed) {
        for ask in member.asks.iter().filter(|ask| ask.features.iter().any(turns_on)) {
            found.push(Offence::new(&member.name, format!("asks {} for {feature}", ask.name)));
        }
        for (name, _) in member.features.iter().filter(|(_, on)| on.iter().any(turns_on)) {
            found.push(Offence::new(&member.name, format!("its feature {name} turns {feature} on")));
        }
    }
    found
}

/// Every member takes its dependencies from the workspace, so that there is one version of each.
pub(crate) fn own_versions(path: &str, manifest: &str) -> Vec<Offence> {
    let mut section = String::new();
    let mut found = Vec::new();
    for (number, text) in manifest.lines().map(str::trim).enumerate() {
        if text.starts_with('[') {
            text.clone_into(&mut section);
        } else if section.ends_with("dependencies]") && section != "[workspace.dependencies]" {
            let entry = text.split_once('=').filter(|_| !text.starts_with('#'));
            if entry.is_some() && !text.contains("workspace = true") {
                let at = number + 1;
                found
                    .push(Offence::new(path, format!("line {at}: '{text}' is not taken from the workspace")));
            }
        }
    }
    found
}
