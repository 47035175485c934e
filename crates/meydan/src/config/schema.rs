//! How a setting is declared: once, with its text, default, range and aliases.
//!
//! `settings!` turns one declaration into the typed field, the row for the documentation and the
//! reader. It is a macro because every one of those would otherwise repeat for each setting.

use std::collections::BTreeMap;

use super::origin::Origin;
use super::value::{Kind, Raw, Shown};

/// One declared setting.
pub(crate) struct Def {
    /// `section.name`, as in a file.
    pub(crate) key: &'static str,
    /// The doc comment, line by line, each with the leading blank that rustdoc keeps.
    pub(crate) doc: &'static [&'static str],
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    /// The default as it would be written in a variable.
    pub(crate) default: Option<&'static str>,
    /// What happens without a value, when there is no fixed default.
    pub(crate) otherwise: Option<&'static str>,
    /// Smallest and largest value, as they would be written in a variable.
    pub(crate) range: Option<(&'static str, &'static str)>,
    /// Variables of other names that set it too.
    pub(crate) aliases: &'static [Alias],
    pub(crate) magnitude: fn(&Raw) -> Option<u128>,
    pub(crate) accepts: fn(&Raw) -> Result<(), String>,
}

/// Another name of a setting's variable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Alias {
    /// A name in wide use (`DATABASE_URL`): accepted, with a notice.
    Common(&'static str),
    /// A short name of our own: accepted as it is.
    Short(&'static str),
}

impl Alias {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Common(name) | Self::Short(name) => name,
        }
    }
}

/// The heading of a section in the documentation.
pub(crate) struct Section {
    /// With the final dot; empty for the top.
    pub(crate) prefix: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) defs: &'static [Def],
}

impl Def {
    /// The variable that sets it.
    pub(crate) fn variable(&self) -> String {
        format!(
            "MEYDAN_{}",
            self.key.to_ascii_uppercase().replace('.', "__")
        )
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.kind == Kind::Secret
    }

    /// Reads the value against type and range; the error is what was expected.
    pub(crate) fn check(&self, raw: &Raw) -> Result<(), String> {
        (self.accepts)(raw).map_err(|expected| self.within().unwrap_or(expected))?;
        let (Some((least, most)), Some(value)) = (self.range, (self.magnitude)(raw)) else {
            return Ok(());
        };
        let bound = |text: &str| (self.magnitude)(&Raw::Loose(text.to_owned()));
        let above = bound(least).is_none_or(|least| value >= least);
        let below = bound(most).is_none_or(|most| value <= most);
        if above && below {
            return Ok(());
        }
        Err(self.within().unwrap_or_default())
    }

    /// The range as people read it: `1..65535`.
    pub(crate) fn within(&self) -> Option<String> {
        self.range.map(|(least, most)| format!("{least}..{most}"))
    }

    /// The doc comment without the blanks of rustdoc.
    pub(crate) fn text(&self) -> Vec<&'static str> {
        trimmed(self.doc)
    }
}

pub(crate) fn trimmed(doc: &[&'static str]) -> Vec<&'static str> {
    doc.iter().map(|line| line.trim()).collect()
}

/// The value that won for each setting, and where it came from.
#[derive(Default)]
pub(crate) struct Values(pub(crate) BTreeMap<&'static str, (Raw, Origin)>);

/// One value as `config print` needs it.
pub(crate) struct Entry {
    pub(crate) def: &'static Def,
    pub(crate) shown: Shown,
}

/// Declares the settings of one section; see the module documentation.
///
/// `"prefix."` then the struct; each field may have a default (`= "text"`), or a sentence on what
/// happens without one (`or "text"`), a range (`in "a" => "b"`) and aliases
/// (`also Alias::Common("NAME")`). Sub-sections follow after `sections`.
macro_rules! settings {
    (
        $(#[doc = $section_doc:literal])+
        $prefix:literal struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty
                    $(= $default:literal)?
                    $(, or $otherwise:literal)?
                    $(, in $least:literal => $most:literal)?
                    $(, also $($alias:expr),+)?;
            )*
            $( sections { $($sub:ident: $sub_type:ident),+ $(,)? } )?
        }
    ) => {
        $(#[doc = $section_doc])+
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $( $(#[doc = $doc])+ pub(crate) $field: $type, )*
            $( $( pub(crate) $sub: $sub_type, )+ )?
        }

        impl $name {
            const DEFS: &'static [$crate::config::schema::Def] = &[
                $( $crate::config::schema::Def {
                    key: concat!($prefix, stringify!($field)),
                    doc: &[$($doc),+],
                    kind: <$type as $crate::config::value::Setting>::KIND,
                    optional: <$type as $crate::config::value::Setting>::OPTIONAL,
                    default: $crate::config::schema::settings!(@maybe $($default)?),
                    otherwise: $crate::config::schema::settings!(@maybe $($otherwise)?),
                    range: $crate::config::schema::settings!(@range $($least, $most)?),
                    aliases: &[$($($alias),+)?],
                    magnitude: |raw| {
                        let value = <$type as $crate::config::value::Setting>::read(raw).ok()?;
                        $crate::config::value::Setting::magnitude(&value)
                    },
                    accepts: |raw| {
                        <$type as $crate::config::value::Setting>::read(raw).map(|_| ())
                    },
                } ),*
            ];

            /// Lists this section and the ones in it, in order of declaration.
            pub(crate) fn sections(list: &mut Vec<$crate::config::schema::Section>) {
                list.push($crate::config::schema::Section {
                    prefix: $prefix,
                    doc: &[$($section_doc),+],
                    defs: Self::DEFS,
                });
                $( $( $sub_type::sections(list); )+ )?
            }

            /// Reads values that were checked before; the error names the key.
            pub(crate) fn read(
                values: &$crate::config::schema::Values,
            ) -> Result<Self, &'static str> {
                Ok(Self {
                    $( $field: $crate::config::schema::field(
                        values, concat!($prefix, stringify!($field)),
                    )?, )*
                    $( $( $sub: $sub_type::read(values)?, )+ )?
                })
            }

            /// Every value as it may be printed.
            pub(crate) fn entries(&self, list: &mut Vec<$crate::config::schema::Entry>) {
                let shown = [
                    $( $crate::config::value::Setting::show(&self.$field) ),*
                ];
                for (def, shown) in Self::DEFS.iter().zip(shown) {
                    list.push($crate::config::schema::Entry { def, shown });
                }
                $( $( self.$sub.entries(list); )+ )?
            }
        }
    };
    (@maybe) => { None };
    (@maybe $text:literal) => { Some($text) };
    (@range) => { None };
    (@range $least:literal, $most:literal) => { Some(($least, $most)) };
}
pub(crate) use settings;

/// Reads one field of a section.
pub(crate) fn field<T: super::value::Setting>(
    values: &Values,
    key: &'static str,
) -> Result<T, &'static str> {
    let unset = Raw::Loose(String::new());
    let raw = values.0.get(key).map_or(&unset, |(raw, _)| raw);
    T::read(raw).ok().ok_or(key)
}
