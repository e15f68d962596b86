//! Examples: whether an item has one that a user of the crate can write.

use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ImplItem, ItemImpl, Lit, Meta, Token};

/// The functions of an implementation without an example, by the path of what they are of.
pub(crate) fn bare_functions(item: &ItemImpl, of: &str) -> Vec<String> {
    let functions = item.items.iter().filter_map(|item| match item {
        ImplItem::Fn(item) => bare(&item.attrs, &format!("{of}::{}", item.sig.ident)),
        _ => None,
    });
    functions.collect()
}

/// The path, where what has these attributes has no example.
pub(crate) fn bare(attributes: &[Attribute], path: &str) -> Option<String> {
    (!has_example(&doc(attributes))).then(|| path.to_string())
}

/// What is written about something, line by line.
fn doc(attributes: &[Attribute]) -> Vec<String> {
    let lines = attributes.iter().filter_map(|attribute| {
        let pair = match &attribute.meta {
            Meta::NameValue(pair) => pair.clone(),
            // The feature without which there is no such line.
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

/// Whether there is an example, in which nothing is to be seen of the crates that users of this one do
/// not name.
pub(crate) fn has_example(doc: &[String]) -> bool {
    // What opens a block, and what closes it.
    let mut opening = doc.iter().filter(|line| line.starts_with("```")).step_by(2);
    let is_shown = |line: &&String| *line != "#" && !line.starts_with("# ");
    opening.any(|fence| ["```", "```no_run"].contains(&fence.as_str()))
        && !doc.iter().filter(is_shown).any(|line| line.contains("majordomus_"))
}
