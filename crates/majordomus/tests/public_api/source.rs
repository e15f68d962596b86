//! The source of crates: their modules, and the resolution of names in a module.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use syn::{Attribute, Item, ItemMod, UseTree};

/// A module, or a crate's root module.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) items: Vec<Item>,
    pub(crate) children: BTreeMap<String, Module>,
}

/// The path of a module: the name of the crate and the names of the modules.
pub(crate) type At = Vec<String>;

/// The crates with public items, by their names in code.
pub(crate) struct Crates(BTreeMap<String, Module>);

impl Crates {
    /// Reads the crate of this package and its sibling crates.
    pub(crate) fn read(package: &Path) -> Self {
        let crates = [
            ("majordomus", "."),
            ("majordomus_core", "../core"),
            ("majordomus_wire", "../wire"),
            ("majordomus_zmtp", "../zmtp"),
            ("majordomus_broker", "../broker"),
        ];
        let read = crates.map(|(name, folder)| {
            let source = package.join(folder).join("src");
            (name.to_string(), read_module(&source.join("lib.rs"), &source))
        });
        Self(read.into())
    }

    pub(crate) fn module(&self, at: &[String]) -> Option<&Module> {
        let (name, inner) = at.split_first()?;
        inner.iter().try_fold(self.0.get(name)?, |module, name| module.children.get(name))
    }

    /// Returns the definition of a name in a module, and the path of the module that defines it.
    pub(crate) fn find(&self, at: &[String], name: &str) -> Option<(At, &Item)> {
        let module = self.module(at)?;
        if let Some(item) = module.items.iter().find(|item| name_of(item) == Some(name.into())) {
            return Some((at.to_vec(), item));
        }
        let uses = module.items.iter().filter_map(|item| match item {
            Item::Use(item) => Some(bindings(&item.tree)),
            _ => None,
        });
        let binding = uses.flatten().find(|(_, bound)| bound == name)?;
        self.follow(at, &binding.0)
    }

    /// Returns the definition of a path in a module.
    pub(crate) fn follow(&self, at: &[String], path: &[String]) -> Option<(At, &Item)> {
        let (name, modules) = path.split_last()?;
        let mut found = at.to_vec();
        for (nth, segment) in modules.iter().enumerate() {
            match &segment[..] {
                "crate" => found.truncate(1),
                "self" => {}
                "super" => drop(found.pop()),
                name if nth == 0 && self.0.contains_key(name) => found = vec![name.into()],
                name => found.push(name.into()),
            }
        }
        self.find(&found, name)
    }

    /// Returns all modules of a crate with their paths.
    pub(crate) fn modules(&self, name: &str) -> Vec<(At, &Module)> {
        let mut all = vec![(vec![name.to_string()], &self.0[name])];
        let mut nth = 0;
        while let Some((at, module)) = all.get(nth).cloned() {
            let inner = module.children.iter();
            all.extend(
                inner.map(|(name, child)| ([&at[..], std::slice::from_ref(name)].concat(), child)),
            );
            nth += 1;
        }
        all
    }
}

/// Reads a module from its file. Inner modules are in the folder.
fn read_module(file: &Path, folder: &Path) -> Module {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    module_of(parsed.items, folder)
}

fn module_of(items: Vec<Item>, folder: &Path) -> Module {
    let items: Vec<Item> = items.into_iter().filter(|item| !is_for_tests(item)).collect();
    let inner = items.iter().filter_map(|item| match item {
        Item::Mod(inner) => Some((inner.ident.to_string(), read_inner(inner, folder))),
        _ => None,
    });
    Module { children: inner.collect(), items }
}

fn read_inner(inner: &ItemMod, folder: &Path) -> Module {
    let name = inner.ident.to_string();
    let own = folder.join(&name);
    if let Some((_, items)) = &inner.content {
        return module_of(items.clone(), &own);
    }
    let beside = folder.join(format!("{name}.rs"));
    read_module(&if beside.exists() { beside } else { own.join("mod.rs") }, &own)
}

fn is_for_tests(item: &Item) -> bool {
    attributes(item).iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// Returns the attributes of an item that can be public.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns the name that an item defines.
pub(crate) fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Returns the names that a `use` imports: each path, and the name under which it is imported.
pub(crate) fn bindings(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let inner = bindings(&path.tree).into_iter();
            let first = path.ident.to_string();
            inner.map(|(rest, name)| ([vec![first.clone()], rest].concat(), name)).collect()
        }
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(as_is) => {
            vec![(vec![as_is.ident.to_string()], as_is.rename.to_string())]
        }
        UseTree::Group(group) => group.items.iter().flat_map(bindings).collect(),
        // No public item is imported by a glob, which `listing` checks.
        UseTree::Glob(_) => Vec::new(),
    }
}
