//! Check that public items have an example that a user of the crate can write.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ImplItem, ItemImpl, Lit, Meta, Token};

/// Returns the functions of an implementation that have no example. `of` is the path of the
/// implementing type.
pub(crate) fn bare_functions(item: &ItemImpl, of: &str) -> Vec<String> {
    let functions = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(item) => bare(&item.attrs, &format!("{of}::{}", item.sig.ident)),
        _ => None,
    });
    functions.collect()
}

/// Returns `path` if the item with these attributes has no example.
pub(crate) fn bare(attributes: &[Attribute], path: &str) -> Option<String> {
    (!has_example(&doc(attributes))).then(|| path.to_string())
}

/// Returns the documentation of an item, line by line.
fn doc(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| {
        let pair = match &attribute.meta {
            Meta::NameValue(pair) => pair.clone(),
            // A line that depends on a feature.
            Meta::List(list) if list.path.is_ident("cfg_attr") => {
                let parts = Punctuated::<Meta, Token![,]>::parse_terminated;
                match attribute.parse_args_with(parts).ok()?.into_iter().last()? {
                    Meta::NameValue(pair) => pair,
                    _ => return None,
                }
            }
            _ => return None,
        };
        match pair.value {
            Expr::Lit(line) if pair.path.is_ident("doc") => match line.lit {
                Lit::Str(line) => Some(line.value().trim().to_string()),
                _ => None,
            },
            _ => None,
        }
    });
    lines.collect()
}

/// Returns true if there is an example that does not name the internal crates.
pub(crate) fn has_example(doc: &[String]) -> bool {
    // Every second fence opens a code block, the others close one.
    let mut opening = doc.iter().filter(|line| line.starts_with("```")).step_by(2);
    let is_shown = |line: &&String| *line != "#" && !line.starts_with("# ");
    opening.any(|fence| ["```", "```no_run"].contains(&fence.as_str()))
        && !doc.iter().filter(is_shown).any(|line| line.contains("majordomus_"))
}
