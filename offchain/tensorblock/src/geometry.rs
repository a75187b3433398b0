//! Where tiles and subtiles lie in a data region.

use blyan_primitives::merkle::{SUBTILE, SUBTILES_PER_TILE, TILE, subtile_count, tile_count};
use std::ops::Range;

/// Bytes of tile `index` in a data region of `data_len` bytes; `None` past the end. The last tile may be shorter.
pub fn tile_range(data_len: u64, index: u64) -> Option<Range<u64>> {
    part(data_len, index, tile_count(data_len), TILE)
}

/// Bytes of subtile `index` in a data region of `data_len` bytes; `None` past the end. The last subtile may be shorter.
pub fn subtile_range(data_len: u64, index: u64) -> Option<Range<u64>> {
    part(data_len, index, subtile_count(data_len), SUBTILE)
}

/// Subtiles of tile `index`, as leaf indices; `None` past the end.
pub fn tile_subtiles(data_len: u64, index: u64) -> Option<Range<u64>> {
    part(subtile_count(data_len), index, tile_count(data_len), SUBTILES_PER_TILE)
}

fn part(total: u64, index: u64, count: u64, size: u64) -> Option<Range<u64>> {
    // Below `count` the product cannot exceed `total`.
    (index < count).then(|| index * size..total.min((index + 1).saturating_mul(size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_is_shorter() {
        let len = TILE + SUBTILE + 1;
        assert_eq!(tile_range(len, 0), Some(0..TILE));
        assert_eq!(tile_range(len, 1), Some(TILE..len));
        assert_eq!(tile_range(len, 2), None);
        assert_eq!(subtile_range(len, 17), Some(TILE + SUBTILE..len));
        assert_eq!(subtile_range(len, 18), None);
        assert_eq!(tile_subtiles(len, 1), Some(16..18));
        assert_eq!(tile_subtiles(len, u64::MAX), None);
        assert_eq!(tile_range(0, 0), None);
    }

    #[test]
    fn parts_cover_the_region() {
        for len in [1, SUBTILE - 1, SUBTILE, SUBTILE + 1, TILE, 3 * TILE + 5] {
            let tiles: Vec<_> = (0..tile_count(len)).map(|i| tile_range(len, i).unwrap()).collect();
            assert_eq!(tiles.first().unwrap().start, 0);
            assert_eq!(tiles.last().unwrap().end, len);
            assert!(tiles.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
