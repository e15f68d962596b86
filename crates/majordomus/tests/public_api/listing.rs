//! The public items of the crate as text: each under its path, with its implementations, but
//! without bodies and comments.

use std::collections::BTreeMap;

use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Block, Expr, Field, Fields, ImplItem, Item, ItemImpl, Meta, Type, Visibility,
    parse_quote,
};

use crate::example::{bare, bare_functions};
use crate::source::{At, Crates, attributes, bindings, name_of};

const HEAD: &str = "\
What users of the crate can name, as tests/public_api reads it from the source. A field `private`
stands for those that are not public. To accept a change:
UPDATE_API=1 cargo test -p majordomus --test public_api
";

/// Returns the text of all public items, sorted by path.
pub(crate) fn listing(crates: &Crates) -> String {
    let texts = entries(crates).texts;
    let texts = texts.iter().map(|(path, text)| format!("\n# {path}{text}"));
    texts.fold(HEAD.to_string(), |all, text| all + &text)
}

/// Returns the public items and functions that have no example that a user of this crate can write.
pub(crate) fn without_example(crates: &Crates) -> Vec<String> {
    entries(crates).lacking
}

fn entries(crates: &Crates) -> Entries<'_> {
    let (texts, known) = (BTreeMap::new(), BTreeMap::new());
    let mut entries = Entries { crates, texts, known, lacking: Vec::new() };
    entries.walk(&["majordomus".to_string()], "");
    entries
}

struct Entries<'a> {
    crates: &'a Crates,
    /// The text of each item, by its path.
    texts: BTreeMap<String, String>,
    /// The path under which an item is already listed, by its definition.
    known: BTreeMap<(At, String), String>,
    /// The paths of items without an example.
    lacking: Vec<String>,
}

impl Entries<'_> {
    /// Lists the items of a public module. `condition` is the feature condition of the module.
    fn walk(&mut self, at: &[String], condition: &str) {
        let module = self.crates.module(at).expect("it was found");
        // Items that are also visible in an inner module are listed in the outer one.
        let (inner, own): (Vec<_>, Vec<_>) = module
            .items
            .iter()
            .filter(|item| is_public(item))
            .partition(|item| matches!(item, Item::Mod(_)));
        for item in own.into_iter().chain(inner) {
            let condition = match feature(attributes(item)) {
                Some(feature) => format!(" (feature {feature})"),
                None => condition.to_string(),
            };
            match item {
                Item::Use(item) => {
                    let bindings = bindings(&item.tree);
                    assert!(!bindings.is_empty(), "a glob is public in {at:?}");
                    for (path, name) in bindings {
                        let found = self.crates.follow(at, &path);
                        let (home, item) = found.unwrap_or_else(|| panic!("{path:?} in {at:?}"));
                        self.add(at, &name, &condition, home, item);
                    }
                }
                Item::Mod(inner) => {
                    let inner = [at, &[inner.ident.to_string()]].concat();
                    self.texts.insert(inner.join("::"), format!("{condition}\n\npub mod\n"));
                    self.walk(&inner, &condition);
                }
                _ => {
                    let name = name_of(item).unwrap_or_else(|| panic!("unknown item in {at:?}"));
                    self.add(at, &name, &condition, at.to_vec(), item);
                }
            }
        }
    }

    fn add(&mut self, at: &[String], name: &str, condition: &str, home: At, item: &Item) {
        let path = format!("{}::{name}", at.join("::"));
        let defined = (home.clone(), name_of(item).expect("it was found by its name"));
        let text = match self.known.get(&defined) {
            Some(other) => format!("{condition}\n\nthe same as {other}\n"),
            None => {
                let impls = self.impls(&home, item);
                let bare = bare(attributes(item), &path).into_iter();
                self.lacking
                    .extend(bare.chain(impls.iter().flat_map(|of| bare_functions(of, &path))));
                format!("{condition}\n\n{}", text(item, impls))
            }
        };
        self.known.entry(defined).or_insert_with(|| path.clone());
        self.texts.insert(path, text);
    }

    /// Returns the user-visible implementations of an item.
    fn impls(&self, home: &At, item: &Item) -> Vec<ItemImpl> {
        let name = name_of(item).expect("it was found by its name");
        let is_trait = matches!(item, Item::Trait(_));
        let mut impls = Vec::new();
        for (at, module) in self.crates.modules(&home[0]) {
            for item in &module.items {
                if let Item::Impl(item) = item
                    && self.is_for(&at, item, home, &name, is_trait)
                    && let Some(item) = self.shown(&home[0], item.clone())
                {
                    impls.push(item);
                }
            }
        }
        impls
    }

    /// Returns the user-visible part of an implementation, if any.
    fn shown(&self, home: &str, mut item: ItemImpl) -> Option<ItemImpl> {
        match implemented(&item) {
            Some(name) => {
                if self.is_internal(home, &name) {
                    return None;
                }
                item.items.retain(|item| matches!(item, ImplItem::Type(_)));
            }
            None => {
                item.items.retain(|item| match item {
                    ImplItem::Fn(item) => {
                        matches!(item.vis, Visibility::Public(_)) && !is_hidden(&item.attrs)
                    }
                    ImplItem::Const(item) => matches!(item.vis, Visibility::Public(_)),
                    _ => false,
                });
                if item.items.is_empty() {
                    return None;
                }
            }
        }
        Some(item)
    }

    /// Returns true if an implementation in a module is for the type with this name and home, or
    /// implements this trait.
    fn is_for(&self, at: &At, item: &ItemImpl, home: &At, name: &str, is_trait: bool) -> bool {
        let path = match (&item.trait_, &*item.self_ty) {
            (Some((path, _)), _) if is_trait => path,
            (_, Type::Path(of)) if !is_trait => &of.path,
            _ => return false,
        };
        let path: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let found = self.crates.follow(at, &path);
        found.is_some_and(|(found, item)| found == *home && defines(item, name))
    }

    /// Returns true if a trait is a private trait of the crate.
    fn is_internal(&self, home: &str, name: &str) -> bool {
        let modules = self.crates.modules(home);
        let mut items = modules.iter().flat_map(|(_, module)| &module.items);
        items.any(|item| matches!(item, Item::Trait(_)) && defines(item, name) && !is_public(item))
    }
}

/// Returns the text of an item and its implementations.
fn text(item: &Item, impls: Vec<ItemImpl>) -> String {
    let mut item = item.clone();
    if let Item::Struct(item) = &mut item {
        hide_private(&mut item.fields);
    }
    let mut impls: Vec<_> = impls.into_iter().map(|item| print(Item::Impl(item))).collect();
    impls.sort();
    print(item) + &impls.concat()
}

fn defines(item: &Item, name: &str) -> bool {
    name_of(item).is_some_and(|defined| defined == name)
}

fn is_public(item: &Item) -> bool {
    let visibility = match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Mod(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        Item::Use(item) => &item.vis,
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_)) && !is_hidden(attributes(item))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("doc")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("hidden"))
    })
}

/// Returns the feature that enables an item.
fn feature(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).find_map(|attribute| {
        let Ok(Meta::NameValue(pair)) = attribute.parse_args() else { return None };
        match pair.value {
            Expr::Lit(value) if pair.path.is_ident("feature") => match value.lit {
                syn::Lit::Str(name) => Some(name.value()),
                _ => None,
            },
            _ => None,
        }
    })
}

/// Returns the name of the trait that is implemented.
fn implemented(item: &ItemImpl) -> Option<String> {
    let (path, _) = item.trait_.as_ref()?;
    Some(path.segments.last()?.ident.to_string())
}

/// Replaces private fields by a single marker.
fn hide_private(fields: &mut Fields) {
    let is_private = |field: &Field| !matches!(field.vis, Visibility::Public(_));
    match fields {
        Fields::Named(fields) if fields.named.iter().any(is_private) => {
            let shown = std::mem::take(&mut fields.named).into_iter();
            fields.named = shown.filter(|field| !is_private(field)).collect();
            let private: syn::FieldsNamed = parse_quote!({ private: _ });
            fields.named.extend(private.named);
        }
        Fields::Unnamed(fields) => {
            for field in fields.unnamed.iter_mut().filter(|field| is_private(field)) {
                field.ty = parse_quote!(_);
            }
        }
        Fields::Named(_) | Fields::Unit => {}
    }
}

/// A visitor that removes everything that users do not see.
struct Bare;

impl VisitMut for Bare {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        attributes.retain(|attribute| {
            let path = attribute.path();
            ["cfg", "derive", "default", "non_exhaustive"].iter().any(|kept| path.is_ident(kept))
        });
    }

    fn visit_receiver_mut(&mut self, receiver: &mut syn::Receiver) {
        receiver.mutability = None;
    }

    fn visit_pat_ident_mut(&mut self, pattern: &mut syn::PatIdent) {
        pattern.mutability = None;
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.clear();
    }

    fn visit_impl_item_const_mut(&mut self, item: &mut syn::ImplItemConst) {
        visit_mut::visit_impl_item_const_mut(self, item);
        item.expr = parse_quote!(_);
    }
}

fn print(mut item: Item) -> String {
    Bare.visit_item_mut(&mut item);
    let mut file = syn::parse_file("").expect("it is empty");
    file.items.push(item);
    prettyplease::unparse(&file)
}
