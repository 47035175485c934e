//! Values that go into statements and come out of rows.
//!
//! The PostgreSQL type follows from the Rust type, so a statement can leave unnamed, with its
//! parameter types spelled out, in one round trip.

use jiff::Timestamp;
use jiff::civil::Date;
use kernel::Id;
use postgres_types::{FromSql, ToSql, Type};

use crate::Result;
use crate::error::Error;

/// A Rust type with a fixed PostgreSQL type.
///
/// A type of a context implements it beside `ToSql` and `FromSql` when it is stored as a
/// built-in type; enum, domain and composite types of PostgreSQL must not be used.
pub trait Value: ToSql + Sync {
    /// The PostgreSQL type of one value.
    const TYPE: Type;
}

/// A [`Value`] that can stand in an array.
pub trait Scalar: Value {
    /// The PostgreSQL type of an array of such values.
    const ARRAY: Type;
}

macro_rules! scalars {
    ($($rust:ty => $one:ident, $many:ident;)*) => {$(
        impl Value for $rust { const TYPE: Type = Type::$one; }
        impl Scalar for $rust { const ARRAY: Type = Type::$many; }
    )*};
}

scalars! {
    bool => BOOL, BOOL_ARRAY;
    i16 => INT2, INT2_ARRAY;
    i32 => INT4, INT4_ARRAY;
    i64 => INT8, INT8_ARRAY;
    f64 => FLOAT8, FLOAT8_ARRAY;
    String => TEXT, TEXT_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    Vec<u8> => BYTEA, BYTEA_ARRAY;
    &[u8] => BYTEA, BYTEA_ARRAY;
    Timestamp => TIMESTAMPTZ, TIMESTAMPTZ_ARRAY;
    Date => DATE, DATE_ARRAY;
    serde_json::Value => JSONB, JSONB_ARRAY;
}

impl<K: 'static> Value for Id<K> {
    const TYPE: Type = Type::INT8;
}

impl<K: 'static> Scalar for Id<K> {
    const ARRAY: Type = Type::INT8_ARRAY;
}

impl<T: Value> Value for Option<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Scalar> Scalar for Option<T> {
    const ARRAY: Type = T::ARRAY;
}

impl<T: Scalar> Value for Vec<T> {
    const TYPE: Type = T::ARRAY;
}

impl<T: Scalar> Value for &[T] {
    const TYPE: Type = T::ARRAY;
}

/// A row of a result. Columns are read by name.
pub struct Row(pub(crate) tokio_postgres::Row);

impl Row {
    /// Reads a column.
    ///
    /// A NULL in a type that is not an `Option`, another type, or a missing column is an error
    /// that names the column.
    pub fn get<'a, T: FromSql<'a>>(&'a self, column: &'static str) -> Result<T> {
        self.0.try_get(column).map_err(|source| Error::Column {
            column,
            source: Box::new(source),
        })
    }

    /// Reads a column as `V` and converts it.
    pub fn get_via<'a, V, T>(&'a self, column: &'static str) -> Result<T>
    where
        V: FromSql<'a>,
        T: TryFrom<V>,
        T::Error: std::fmt::Display,
    {
        let raw = self.get::<V>(column)?;
        T::try_from(raw).map_err(|error| Error::Column {
            column,
            source: error.to_string().into(),
        })
    }

    /// Reads the first column, for statements that return one.
    pub(crate) fn first<'a, T: FromSql<'a>>(&'a self) -> Result<T> {
        self.0.try_get(0).map_err(|source| Error::Column {
            column: "1",
            source: Box::new(source),
        })
    }
}

/// A struct that is built from a row; derive it.
pub trait FromRow: Sized {
    /// Names and PostgreSQL types of the columns it reads.
    const COLUMNS: &'static [(&'static str, Type)];

    /// Builds the struct.
    fn from_row(row: &Row) -> Result<Self>;
}
