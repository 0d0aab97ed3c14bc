"""A machine that trains a layer with zeros, stepped cycle by cycle: it computes numbers and counts its work.

It is written from what the hardware does, and knows no formula of the model:

- Storage levels stand one below the other; each level is several memories, and each memory feeds those
  below it. The memories of the innermost level are the register files of the processing elements, a 2-D
  array; an element does one multiply-accumulate a cycle.
- A memory has two buffers for every tensor that it keeps. While the tile in one is used, the next tile is
  brought into the other, which is then full; it is empty again when nothing further in needs its tile, and,
  of an output, when its sums have been written up. Words that the next tile has too stay where they are.
- A memory has a port to read and a port to write, which move so many bits a cycle. Memories that want the
  same tile at the same time get it by one read, and what they return of the same sums is added on the way
  up. Sums that come back go to one of them.
- Every array-level tile is a barrier: no element begins the next one before the slowest has finished.
- A level may store a tensor without its zeros, with a bit per position and a pointer per block. Elements then
  work on nonzeros only.
- The balancer cuts each element's tile in two, sorts the halves of the array by their work, and gives each
  element the largest that is left together with the smallest.

`nest` says which tiles are needed where and when, `storage` how they are stored, `transfers` moves them,
`array` works on them, `run` steps all of that. `cases` draws layers, `compare` sets counts beside the
model's; ``tools/measure_left_out.py`` measures what the model leaves out.
"""
