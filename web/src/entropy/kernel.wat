;; sums[i] += weights[i] * factor: int32, int8 and an integer of at most 16 bits.
(module
  (memory (export "memory") 1)
  (func (export "add") (param $sums i32) (param $weights i32) (param $count i32) (param $factor i32)
    (local $end i32) (local $factors v128) (local $eight v128)
    (local.set $factors (i16x8.splat (local.get $factor)))
    (local.set $end (i32.add (local.get $weights) (i32.and (local.get $count) (i32.const -8))))
    (block $eights_done
      (loop $eights
        (br_if $eights_done (i32.eq (local.get $weights) (local.get $end)))
        (local.set $eight (v128.load8x8_s (local.get $weights)))
        (v128.store (local.get $sums)
          (i32x4.add (v128.load (local.get $sums))
            (i32x4.extmul_low_i16x8_s (local.get $eight) (local.get $factors))))
        (v128.store offset=16 (local.get $sums)
          (i32x4.add (v128.load offset=16 (local.get $sums))
            (i32x4.extmul_high_i16x8_s (local.get $eight) (local.get $factors))))
        (local.set $weights (i32.add (local.get $weights) (i32.const 8)))
        (local.set $sums (i32.add (local.get $sums) (i32.const 32)))
        (br $eights)))
    (local.set $end (i32.add (local.get $weights) (i32.and (local.get $count) (i32.const 7))))
    (block $done
      (loop $ones
        (br_if $done (i32.eq (local.get $weights) (local.get $end)))
        (i32.store (local.get $sums)
          (i32.add (i32.load (local.get $sums))
            (i32.mul (i32.load8_s (local.get $weights)) (local.get $factor))))
        (local.set $weights (i32.add (local.get $weights) (i32.const 1)))
        (local.set $sums (i32.add (local.get $sums) (i32.const 4)))
        (br $ones)))))
