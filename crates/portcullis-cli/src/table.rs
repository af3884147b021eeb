//! Lists, as tables for people.

/// Rows of cells, each column as wide as its widest cell.
pub(crate) fn of(rows: &[impl AsRef<[String]>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows.iter().map(AsRef::as_ref) {
        widths.resize(widths.len().max(row.len()), 0);
        widths.iter_mut().zip(row).for_each(|(width, cell)| {
            *width = (*width).max(cell.chars().count());
        });
    }
    let lines = rows.iter().map(|row| {
        let cells = row.as_ref().iter().zip(&widths);
        // The width of a format is 65,535 at most, and a wider one panics.
        let cells = cells.map(|(cell, width)| {
            cell.to_owned() + &" ".repeat(width.saturating_sub(cell.chars().count()))
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_cell_may_be_of_any_width() {
        let wide = "é".repeat(70_000);
        let rows = [["a".to_owned(), "b".to_owned()], [wide.clone(), "d".to_owned()]];
        let expected = format!("a{}  b\n{wide}  d", " ".repeat(69_999));
        assert_eq!(super::of(&rows), expected);
    }
}
