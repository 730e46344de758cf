//! The manifests as they are written, before kustomize.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where the manifests are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/kubernetes");

pub(super) struct Manifests {
    base: Vec<Value>,
    kustomizations: Vec<(String, Value)>,
}

impl Manifests {
    pub(super) fn read() -> Self {
        let folder = Path::new(FOLDER);
        let base = files(&folder.join("base")).iter().flat_map(|file| documents(file)).collect();
        let kustomizations = ["base", "overlays/production", "overlays/kind"]
            .map(|name| folder.join(name).join("kustomization.yaml"))
            .map(|file| (file.display().to_string(), documents(&file).remove(0)))
            .into();
        Self { base, kustomizations }
    }

    /// Each kustomization that names images, with its path.
    pub(super) fn kustomizations(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.kustomizations.iter().map(|(file, read)| (file.as_str(), read))
    }

    /// The manifest of this kind; an empty name means any.
    pub(super) fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        self.base
            .iter()
            .find(|one| one["kind"] == kind && (name.is_empty() || one["metadata"]["name"] == name))
    }

    /// A literal that the production overlay sets.
    pub(super) fn of_production(&self, setting: &str) -> &str {
        let generators = self.kustomizations[1].1["configMapGenerator"].as_array().unwrap();
        let literals = generators.iter().flat_map(|map| map["literals"].as_array().unwrap());
        let mut literals = literals.filter_map(|literal| literal.as_str()?.split_once('='));
        literals.find(|(name, _)| *name == setting).unwrap().1
    }

    /// The setting that the component with Temporal's API key adds to a Deployment.
    pub(super) fn of_temporal_api_key(name: &str) -> Option<(String, String)> {
        let file = Path::new(FOLDER).join("components/temporal-api-key/kustomization.yaml");
        let component = documents(&file).remove(0);
        let patches = component["patches"].as_array().unwrap().iter();
        let names = |patch: &&Value| {
            let target = patch["target"]["name"].as_str().unwrap();
            target.trim_matches(['^', '$', '(', ')']).split('|').any(|one| one == name)
        };
        let patch = patches.clone().find(names)?["patch"].as_str().unwrap().to_owned();
        let operations: Vec<Value> = serde_saphyr::from_str(&patch).unwrap();
        let added = &operations[0]["value"];
        let text = |field: &str| added[field].as_str().unwrap().to_owned();
        Some((text("name"), text("value")))
    }

    /// The names of all manifests of this kind.
    pub(super) fn names(&self, kind: &str) -> impl Iterator<Item = &str> {
        let all = self.base.iter().filter(move |one| one["kind"] == kind);
        all.map(|one| one["metadata"]["name"].as_str().unwrap())
    }

    /// What the Prometheus operator is told.
    pub(super) fn pod_monitor() -> Value {
        documents(&Path::new(FOLDER).join("components/monitoring/pods.yaml")).remove(0)
    }

    /// The pod of a Deployment or Job.
    pub(super) fn pod(&self, name: &str) -> &Value {
        let owner = self.find("Deployment", name).or_else(|| self.find("Job", name));
        &owner.unwrap()["spec"]["template"]["spec"]
    }

    /// Its only container.
    pub(super) fn container(&self, name: &str) -> &Value {
        let containers = self.pod(name)["containers"].as_array().unwrap();
        assert_eq!(containers.len(), 1, "{name}");
        &containers[0]
    }

    /// Its environment, that of its `ConfigMaps` included.
    pub(super) fn settings(&self, name: &str) -> BTreeMap<String, String> {
        let container = self.container(name);
        let mut settings = BTreeMap::new();
        for map in container["envFrom"].as_array().into_iter().flatten() {
            settings.extend(self.map(map["configMapRef"]["name"].as_str().unwrap()));
        }
        for one in container["env"].as_array().into_iter().flatten() {
            let (name, value) = (one["name"].as_str().unwrap(), one["value"].as_str().unwrap());
            settings.insert(name.to_owned(), value.to_owned());
        }
        settings
    }

    /// A generated `ConfigMap` of the base.
    fn map(&self, name: &str) -> Vec<(String, String)> {
        let maps = self.kustomizations[0].1["configMapGenerator"].as_array().unwrap();
        let map = maps.iter().find(|map| map["name"] == name);
        let literals = map.unwrap_or_else(|| panic!("{name} is not generated"))["literals"].clone();
        let literals: Vec<String> = serde_json::from_value(literals).unwrap();
        literals
            .iter()
            .map(|literal| literal.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect()
}

fn documents(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
