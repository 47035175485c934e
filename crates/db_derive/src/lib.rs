//! `#[derive(FromRow)]`: builds a struct from a row of a result, column by column, by name.
//!
//! Invariants
//! 1. A field is read from the column of the same name; `#[row(name = "…")]` overrides it.
//! 2. The list of columns and their PostgreSQL types is a constant of the struct, so a test can
//!    compare it with what the server says about the statement (`db::prepare::check`).
//! 3. `#[row(via = "String")]` reads the column as that type and converts it with `TryFrom`.
//!
//! The generated code names the crate `db`, the only one that offers the derive.
//!
//! Begin reading at [`from_row`].

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, Fields, LitStr, Result, Type};

/// Derives `db::FromRow` for a struct with named fields.
#[proc_macro_derive(FromRow, attributes(row))]
pub fn from_row(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let parsed = syn::parse_macro_input!(input as DeriveInput);
    expand(&parsed)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(&input.ident, "FromRow is for structs"));
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(Error::new_spanned(
            &input.ident,
            "FromRow needs named fields",
        ));
    };
    let columns = fields
        .named
        .iter()
        .map(Column::parse)
        .collect::<Result<Vec<_>>>()?;
    let listed = columns.iter().map(Column::listed);
    let read = columns.iter().map(Column::read);
    let name = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics ::db::FromRow for #name #arguments #bounds {
            const COLUMNS: &'static [(&'static str, ::db::Type)] = &[#(#listed),*];
            fn from_row(row: &::db::Row) -> ::db::Result<Self> {
                ::core::result::Result::Ok(Self { #(#read),* })
            }
        }
    })
}

/// One field and the column it is read from.
struct Column<'a> {
    field: &'a syn::Ident,
    name: String,
    ty: &'a Type,
    via: Option<Type>,
}

impl<'a> Column<'a> {
    fn parse(field: &'a Field) -> Result<Self> {
        let Some(ident) = &field.ident else {
            return Err(Error::new_spanned(field, "FromRow needs named fields"));
        };
        let name = ident.to_string().trim_start_matches("r#").to_owned();
        let mut column = Column {
            field: ident,
            name,
            ty: &field.ty,
            via: None,
        };
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("row")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    column.name = meta.value()?.parse::<LitStr>()?.value();
                } else if meta.path.is_ident("via") {
                    column.via = Some(meta.value()?.parse::<LitStr>()?.parse::<Type>()?);
                } else {
                    return Err(meta.error("expected `name` or `via`"));
                }
                Ok(())
            })?;
        }
        Ok(column)
    }

    fn listed(&self) -> TokenStream {
        let name = &self.name;
        let ty = self.via.as_ref().unwrap_or(self.ty);
        quote! { (#name, <#ty as ::db::Value>::TYPE) }
    }

    fn read(&self) -> TokenStream {
        let (field, name, ty) = (self.field, &self.name, self.ty);
        match &self.via {
            None => quote! { #field: row.get::<#ty>(#name)? },
            Some(via) => quote! { #field: row.get_via::<#via, #ty>(#name)? },
        }
    }
}
