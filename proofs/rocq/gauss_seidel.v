(** * Sequential best response converges, and no slower than simultaneous play

    Label: T5.  Imports: averaging.v ([largest]), mixture.v (the weights of the
    game), weighted_norm.v ([vnorm], [affine]).  Scalars: any ordered field.
    Axioms: none.

    Agents answer one after the other: [update i x] replaces entry [i] of [x] by
    the best response [c_i + (B x)_i] to the newest values, and a sweep updates
    along a list of agents.  All that is asked of the list is that every agent
    occurs in it; the order is free and may change from sweep to sweep.

    - If [B v <= q v] with [v > 0] and [0 <= q <= 1], a sweep contracts with
      factor [q] in the norm [max_i |x_i| / v_i] ([sweep_contracts]), so that [t]
      sweeps leave at most [q^t] of the error ([sweeps_rate]).  In an anchored
      game this holds with [q = 1 - 1 / max v] ([anchored_sweeps_rate]).
    - Started at one and the same distance, sequential play is never worse than
      the worst case of simultaneous play: after [t] sweeps
      [|x^t - x*|_i <= (B^t v)_i |x^0 - x*|_v] whenever [B v <= v]
      ([sweeps_power_bound]).  For simultaneous play the same bound is attained
      ([rounds_power_bound_attained]).  By Gelfand's formula the first gives
      [rho_GS <= rho(B)], the inequality of Stein and Rosenberg; only this last
      step, from the powers to the spectral radius, is not formalised. *)

From mathcomp Require Import all_ssreflect all_algebra.
From ExpfamGame Require Import averaging mixture weighted_norm.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(** ** Updates and sweeps *)

Section Sweep.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (c : 'cV[R]_n).
Implicit Types (x y : 'cV[R]_n) (i : 'I_n) (order : seq 'I_n).

Definition update x i : 'cV[R]_n :=
  \col_j (if j == i then affine B c x j 0 else x j 0).

Definition sweep order x := foldl update x order.

(** Sweep after sweep, each in an order of its own. *)
Definition sweeps (orders : seq (seq 'I_n)) x := foldl (fun y o => sweep o y) x orders.

(** Every agent has its turn. *)
Definition complete order := forall i, i \in order.

Lemma updateE x i j :
  update x i j 0 = if j == i then affine B c x j 0 else x j 0.
Proof. exact: mxE. Qed.

Lemma sweep_cons i order x : sweep (i :: order) x = sweep order (update x i).
Proof. by []. Qed.

Lemma sweep_rcons order i x : sweep (rcons order i) x = update (sweep order x) i.
Proof. by rewrite /sweep foldl_rcons. Qed.

Lemma update_fixed x i : affine B c x = x -> update x i = x.
Proof. by move=> fixed; apply/colP=> j; rewrite updateE fixed if_same. Qed.

Lemma sweep_fixed order x : affine B c x = x -> sweep order x = x.
Proof. by move=> fixed; elim: order => // i order IH; rewrite sweep_cons update_fixed. Qed.

Lemma sweeps_fixed orders x : affine B c x = x -> sweeps orders x = x.
Proof. by move=> fixed; elim: orders => // o orders IH; rewrite /= sweep_fixed. Qed.

(** The full vector of answers is needed nowhere: only the answer of [i]. *)
Lemma affine_entry_sub x y i :
  affine B c x i 0 - affine B c y i 0 = (B *m (x - y)) i 0.
Proof. by rewrite -(affine_sub B c) [RHS]mxE [X in _ = _ + X]mxE. Qed.

End Sweep.

(** ** One lemma behind everything

    If the errors are below [u], and [B u] is below [u], then after a sweep the
    errors are below [u], and those of all agents that had their turn are below
    [B u]. *)

Section Comparison.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (c : 'cV[R]_n).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Implicit Types (x y u v : 'cV[R]_n) (order : seq 'I_n).

Local Notation sweep := (sweep B c).

Lemma sweep_below order x y u :
  (forall j, `|(x - y) j 0| <= u j 0) -> (forall j, (B *m u) j 0 <= u j 0) ->
  forall j, `|(sweep order x - sweep order y) j 0| <=
            if j \in order then (B *m u) j 0 else u j 0.
Proof.
move=> xy_u Bu_u; elim/last_ind: order => [|order i IH] j; first exact: xy_u.
rewrite !sweep_rcons mem_rcons in_cons.
rewrite mxE [X in _ + X]mxE !updateE; have [->|_] /= := eqVneq j i; last first.
  by have := IH j; rewrite mxE [X in `|_ + X|]mxE.
rewrite affine_entry_sub; apply: mul_norm_le => // k.
by apply: le_trans (IH k) _; case: ifP.
Qed.

Lemma complete_sweep_below order x y u : complete order ->
  (forall j, `|(x - y) j 0| <= u j 0) -> (forall j, (B *m u) j 0 <= u j 0) ->
  forall j, `|(sweep order x - sweep order y) j 0| <= (B *m u) j 0.
Proof.
by move=> all_in xy_u Bu_u j; have := sweep_below order xy_u Bu_u j; rewrite all_in.
Qed.

Lemma complete_sweeps_below orders x y u :
  (forall order, order \in orders -> complete order) ->
  (forall j, `|(x - y) j 0| <= u j 0) -> (forall j, (B *m u) j 0 <= u j 0) ->
  forall j, `|(sweeps B c orders x - sweeps B c orders y) j 0| <=
            iter (size orders) (mulmx B) u j 0.
Proof.
elim: orders x y u => [|order orders IH] x y u all_in xy_u Bu_u j //=.
rewrite -iterS iterSr; apply: IH => [o o_in||].
- by apply: all_in; rewrite in_cons o_in orbT.
- by apply: complete_sweep_below => //; apply: all_in; rewrite mem_head.
- exact: mul_le.
Qed.

End Comparison.

(** ** Contraction in the weighted norm *)

Section Contraction.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (c v : 'cV[R]_n) (q : R).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i 0.
Hypothesis q_ge0 : 0 <= q.
Hypothesis q_le1 : q <= 1.
Hypothesis Bv_le : forall i, (B *m v) i 0 <= q * v i 0.
Implicit Types (x y : 'cV[R]_n) (order : seq 'I_n).

Let error x y := vnorm v (x - y) *: v.

Let error_above x y j : `|(x - y) j 0| <= error x y j 0.
Proof. by rewrite [error _ _ _ _]mxE mulrC entry_le_vnorm. Qed.

Let error_shrinks x y j : (B *m error x y) j 0 <= q * error x y j 0.
Proof.
rewrite mul_entry_scale [error _ _ _ _]mxE mulrCA.
by rewrite ler_wpmul2l ?vnorm_ge0.
Qed.

Let error_decreases x y j : (B *m error x y) j 0 <= error x y j 0.
Proof.
apply: le_trans (error_shrinks x y j) _; apply: ler_pimull => //.
by rewrite mxE mulr_ge0 ?vnorm_ge0 ?ltW.
Qed.

Theorem sweep_contracts order x y : complete order ->
  vnorm v (sweep B c order x - sweep B c order y) <= q * vnorm v (x - y).
Proof.
move=> all_in; apply: vnorm_le => // [|j]; first by rewrite mulr_ge0 ?vnorm_ge0.
have := @complete_sweep_below _ _ B c B_ge0 order x y (error x y) all_in.
move=> /(_ (error_above x y) (error_decreases x y) j)/le_trans; apply.
apply: le_trans (error_shrinks x y j) _.
by rewrite [error _ _ _ _]mxE [X in _ <= X]mulrC mulrA.
Qed.

Section FixedPoint.
Variable star : 'cV[R]_n.
Hypothesis star_fixed : affine B c star = star.

Theorem sweeps_rate orders x : (forall order, order \in orders -> complete order) ->
  vnorm v (sweeps B c orders x - star) <= q ^+ size orders * vnorm v (x - star).
Proof.
elim: orders x => [|order orders IH] x all_in /=; first by rewrite mul1r.
apply: (@le_trans _ _ (q ^+ size orders * vnorm v (sweep B c order x - star))).
  by apply: IH => o o_in; apply: all_in; rewrite in_cons o_in orbT.
rewrite exprSr -mulrA ler_wpmul2l ?exprn_ge0 //.
rewrite -{1}(sweep_fixed order star_fixed) sweep_contracts //.
by apply: all_in; rewrite mem_head.
Qed.

(** One and the same order in every sweep. *)
Corollary same_order_rate order t x : complete order ->
  vnorm v (iter t (sweep B c order) x - star) <= q ^+ t * vnorm v (x - star).
Proof.
move=> all_in; have -> : iter t (sweep B c order) x = sweeps B c (nseq t order) x.
  by elim: t x => // t IH x; rewrite iterSr IH.
rewrite -{2}(size_nseq t order); apply: sweeps_rate => o.
by rewrite mem_nseq => /andP[_ /eqP->].
Qed.

(** A sweep tells how far it is from the fixed point. *)
Theorem sweep_a_posteriori order x : q < 1 -> complete order ->
  vnorm v (sweep B c order x - star) <=
  q / (1 - q) * vnorm v (sweep B c order x - x).
Proof.
move=> q1 all_in; rewrite mulrAC ler_pdivl_mulr ?subr_gt0 //.
rewrite mulrBr mulr1 ler_subl_addr [_ * q]mulrC -mulrDr.
apply: (@le_trans _ _ (q * vnorm v (x - star))).
  by rewrite -{1}(sweep_fixed order star_fixed) sweep_contracts.
by rewrite ler_wpmul2l // [vnorm v (sweep _ _ _ _ - x)]vnormB vnorm_triangle.
Qed.

End FixedPoint.
End Contraction.

(** ** Never slower than simultaneous play *)

Section SteinRosenberg.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (c v star : 'cV[R]_n).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i 0.
Hypothesis Bv_le : forall i, (B *m v) i 0 <= v i 0.
Hypothesis star_fixed : affine B c star = star.

Let power t := iter t (mulmx B) v.

Lemma power_scale t k : iter t (mulmx B) (k *: v) = k *: power t.
Proof. by elim: t => // t IH; rewrite iterS IH -scalemxAr. Qed.

Theorem sweeps_power_bound orders x :
  (forall order, order \in orders -> complete order) -> forall i,
  `|(sweeps B c orders x - star) i 0| <= vnorm v (x - star) * power (size orders) i 0.
Proof.
move=> all_in i; rewrite -{1}(sweeps_fixed orders star_fixed).
pose u := vnorm v (x - star) *: v.
have above j : `|(x - star) j 0| <= u j 0
  by rewrite [u _ _]mxE mulrC entry_le_vnorm.
have decreases j : (B *m u) j 0 <= u j 0.
  by rewrite mul_entry_scale [u _ _]mxE ler_wpmul2l ?vnorm_ge0.
apply: le_trans (complete_sweeps_below c B_ge0 all_in above decreases i) _.
by rewrite power_scale [X in X <= _]mxE.
Qed.

Lemma rounds_error t x : iter t (affine B c) x - star = iter t (mulmx B) (x - star).
Proof.
rewrite -(affine_iter_sub B c); congr (_ - _).
by elim: t => // t IH; rewrite iterS -IH.
Qed.

Theorem rounds_power_bound t x i :
  `|(iter t (affine B c) x - star) i 0| <= vnorm v (x - star) * power t i 0.
Proof.
rewrite rounds_error; elim: t i => [|t IH] i; first by rewrite mulrC entry_le_vnorm.
rewrite [power _]/= -mul_entry_scale.
by apply: mul_norm_le => // j; rewrite [X in _ <= X]mxE.
Qed.

(** Simultaneous play from [star + k v] attains the bound. *)
Theorem rounds_power_bound_attained t k i : 0 <= k ->
  `|(iter t (affine B c) (star + k *: v) - star) i 0| = k * power t i 0.
Proof.
move=> k_ge0; have power_ge0 j : 0 <= power t j 0.
  by elim: t j => [|t IH] j; [exact: ltW | apply: mul_ge0].
rewrite rounds_error addrAC subrr add0r power_scale mxE ger0_norm //.
by rewrite mulr_ge0.
Qed.

End SteinRosenberg.

(** ** Anchored games *)

Section Anchored.
Variables (R : realFieldType) (n : nat) (a : 'M[R]_n) (c star : 'cV[R]_n).
Hypothesis a_stochastic : stochastic a.
Hypothesis a_grounded : grounded a.
Hypothesis star_fixed : affine (others a) c star = star.

Let v := steps a.

Theorem anchored_sweeps_rate orders x :
  (forall order, order \in orders -> complete order) ->
  vnorm v (sweeps (others a) c orders x - star) <=
  factor v 1 ^+ size orders * vnorm v (x - star).
Proof.
have B_ge0 := others_ge0 a_stochastic.
have v_gt0 := steps_gt0 a_stochastic a_grounded.
have slack := steps_slack a_stochastic a_grounded.
apply: sweeps_rate => // [||i].
- exact: factor_ge0 B_ge0 v_gt0 slack.
- exact: factor_le1 ltr01.
- exact: slack_factor v_gt0 ltr01 slack i.
Qed.

(** Sequential play is at least as good as the worst case of simultaneous play. *)
Theorem anchored_sweeps_power_bound orders x :
  (forall order, order \in orders -> complete order) -> forall i,
  `|(sweeps (others a) c orders x - star) i 0| <=
  vnorm v (x - star) * iter (size orders) (mulmx (others a)) v i 0.
Proof.
apply: sweeps_power_bound => // [i j|i|i].
- exact: others_ge0.
- exact: steps_gt0.
- by rewrite /v others_steps // ler_subl_addr ler_addl ler01.
Qed.

End Anchored.

Print Assumptions sweep_contracts.
Print Assumptions sweeps_rate.
Print Assumptions same_order_rate.
Print Assumptions sweep_a_posteriori.
Print Assumptions sweeps_power_bound.
Print Assumptions rounds_power_bound.
Print Assumptions rounds_power_bound_attained.
Print Assumptions anchored_sweeps_rate.
Print Assumptions anchored_sweeps_power_bound.
