(** * Best response contracts in a weighted norm

    Label: T4.  Imports: averaging.v ([largest]), mixture.v (the weights of the
    game).  Scalars: any ordered field.  Axioms: none.

    [B] is a matrix with nonnegative entries, [c] a vector, and agents move by
    the affine map [F x = c + B x].  In the game, [B] holds the weights that
    agents give to each other, [c = D m] their private statistics, and [x] one
    coordinate of the means; the coordinates do not interact.  The norm

      [vnorm v x = max_i |x_i| / v_i]

    is taken with positive weights [v].  The file proves

    - if [B v <= q v], then [F] contracts with factor [q] ([affine_contracts]),
      [F^t x] approaches the fixed point at the rate [q^t] ([a_priori]), and one
      step tells how far it is ([a_posteriori]);
    - if [B v <= v - s] with [s > 0], then [q = 1 - s / max v] will do
      ([slack_contracts]), and the residual [r = F x - x] bounds each error by
      itself: [|x - x*|_i <= (v_i / s) max_k |r_k|] ([residual_bound]);
    - then [1 - B] is invertible with a nonnegative inverse ([slack_unit],
      [slack_inverse_ge0]), all powers of [B] decay like [q^t]
      ([slack_powers]), and the fixed point exists and is unique;
    - in an anchored game the expected number of steps to somebody's data,
      [steps a = (1 - B)^-1 1], satisfies [B v = v - 1] and [v >= 1], which gives
      the factor [1 - 1 / max v] ([anchored_contracts]). *)

From mathcomp Require Import all_ssreflect all_algebra.
From ExpfamGame Require Import averaging mixture.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(** ** The norm *)

Section Norm.
Variables (R : realFieldType) (n : nat) (v : 'cV[R]_n).
Hypothesis v_gt0 : forall i, 0 < v i 0.
Implicit Types x y z : 'cV[R]_n.

Definition vnorm x := largest (fun i => `|x i 0| / v i 0).

Lemma vnorm_ge0 x : 0 <= vnorm x.
Proof. exact: largest_ge0. Qed.

Lemma entry_le_vnorm x i : `|x i 0| <= v i 0 * vnorm x.
Proof.
by rewrite mulrC -ler_pdivr_mulr // (le_largest (fun i => `|x i 0| / v i 0)).
Qed.

Lemma vnorm_le x b : 0 <= b -> (forall i, `|x i 0| <= v i 0 * b) -> vnorm x <= b.
Proof.
by move=> b0 xb; apply: largest_le => // i; rewrite ler_pdivr_mulr // mulrC.
Qed.

Lemma vnorm_lt x b : 0 < b -> (forall i, `|x i 0| < v i 0 * b) -> vnorm x < b.
Proof.
by move=> b0 xb; apply: largest_lt => // i; rewrite ltr_pdivr_mulr // mulrC.
Qed.

Lemma vnormN x : vnorm (- x) = vnorm x.
Proof. by apply: eq_bigr => i _; rewrite mxE normrN. Qed.

Lemma vnormB x y : vnorm (x - y) = vnorm (y - x).
Proof. by rewrite -vnormN opprB. Qed.

Lemma vnormD x y : vnorm (x + y) <= vnorm x + vnorm y.
Proof.
apply: vnorm_le => [|i]; first by rewrite addr_ge0 ?vnorm_ge0.
rewrite mxE mulrDr; apply: le_trans (ler_norm_add _ _) _.
by rewrite ler_add ?entry_le_vnorm.
Qed.

Lemma vnorm_triangle x y z : vnorm (x - z) <= vnorm (x - y) + vnorm (y - z).
Proof. by rewrite -[x - z](subrKA y) vnormD. Qed.

Lemma vnorm_eq0 x : vnorm x = 0 -> x = 0.
Proof.
move=> x0; apply/colP=> i; rewrite [RHS]mxE; apply/eqP; rewrite -normr_le0.
by have := entry_le_vnorm x i; rewrite x0 mulr0.
Qed.

End Norm.

(** ** Nonnegative matrices *)

Section Nonnegative.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Implicit Types x y u v : 'cV[R]_n.

Lemma mulE x i : (B *m x) i 0 = \sum_j B i j * x j 0.
Proof. exact: mxE. Qed.

Lemma mul_le x y :
  (forall j, x j 0 <= y j 0) -> forall i, (B *m x) i 0 <= (B *m y) i 0.
Proof. by move=> xy i; rewrite !mulE; apply: ler_sum => j _; rewrite ler_wpmul2l. Qed.

Lemma mul_ge0 x : (forall j, 0 <= x j 0) -> forall i, 0 <= (B *m x) i 0.
Proof. by move=> x0 i; rewrite mulE sumr_ge0 // => j _; rewrite mulr_ge0. Qed.

Lemma mul_norm_le x y :
  (forall j, `|x j 0| <= y j 0) -> forall i, `|(B *m x) i 0| <= (B *m y) i 0.
Proof.
move=> xy i; rewrite !mulE; apply: le_trans (ler_norm_sum _ _ _) _.
by apply: ler_sum => j _; rewrite normrM ger0_norm // ler_wpmul2l.
Qed.

Lemma mul_entry_scale k u i : (B *m (k *: u)) i 0 = k * (B *m u) i 0.
Proof. by rewrite -scalemxAr mxE. Qed.

(** [(B x)_i <= |x|_v (B v)_i]: the row [B v] is all one has to know. *)
Lemma mul_vnorm_le v x i : (forall j, 0 < v j 0) ->
  `|(B *m x) i 0| <= vnorm v x * (B *m v) i 0.
Proof.
move=> v0; rewrite -mul_entry_scale; apply: mul_norm_le => j.
by rewrite [X in _ <= X]mxE mulrC entry_le_vnorm.
Qed.

End Nonnegative.

(** ** The affine map *)

Section Affine.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (c : 'cV[R]_n).
Implicit Types x y : 'cV[R]_n.

Definition affine x := c + B *m x.

Lemma affine_sub x y : affine x - affine y = B *m (x - y).
Proof. by rewrite mulmxBr opprD addrACA subrr add0r. Qed.

Lemma affine_iter_sub t x y :
  iter t affine x - iter t affine y = iter t (mulmx B) (x - y).
Proof. by elim: t => [|t IH] //; rewrite !iterS affine_sub IH. Qed.

Lemma fixed_iff x : affine x = x <-> (1%:M - B) *m x = c.
Proof.
rewrite mulmxBl mul1mx /affine; split=> [fixed|<-]; last by rewrite subrK.
by rewrite -{1}fixed addrK.
Qed.

End Affine.

(** ** Contraction by any factor [q] with [B v <= q v] *)

Section Contraction.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (c v : 'cV[R]_n) (q : R).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i 0.
Hypothesis q_ge0 : 0 <= q.
Hypothesis Bv_le : forall i, (B *m v) i 0 <= q * v i 0.
Implicit Types x y : 'cV[R]_n.

Let F := affine B c.

Lemma mul_contracts x : vnorm v (B *m x) <= q * vnorm v x.
Proof.
apply: vnorm_le => // [|i]; first by rewrite mulr_ge0 ?vnorm_ge0.
apply: le_trans (mul_vnorm_le B_ge0 x i v_gt0) _.
rewrite mulrA [v i 0 * q]mulrC [X in _ <= X]mulrC.
by rewrite ler_wpmul2l ?vnorm_ge0.
Qed.

Theorem powers_contract t x : vnorm v (iter t (mulmx B) x) <= q ^+ t * vnorm v x.
Proof.
elim: t => [|t IH]; first by rewrite mul1r.
rewrite iterS exprS -mulrA; apply: le_trans (mul_contracts _) _.
by rewrite ler_wpmul2l.
Qed.

Theorem affine_contracts x y : vnorm v (F x - F y) <= q * vnorm v (x - y).
Proof. by rewrite affine_sub mul_contracts. Qed.

Section FixedPoint.
Variable star : 'cV[R]_n.
Hypothesis F_star : F star = star.

Theorem a_priori t x : vnorm v (iter t F x - star) <= q ^+ t * vnorm v (x - star).
Proof.
have -> : iter t F x - star = iter t F x - iter t F star.
  by congr (_ - _); elim: t => // t IH; rewrite iterS -IH F_star.
by rewrite affine_iter_sub powers_contract.
Qed.

Theorem a_posteriori x : q < 1 ->
  vnorm v (F x - star) <= q / (1 - q) * vnorm v (F x - x).
Proof.
move=> q1; rewrite mulrAC ler_pdivl_mulr ?subr_gt0 // mulrBr mulr1 ler_subl_addr.
rewrite [_ * q]mulrC -mulrDr; apply: (@le_trans _ _ (q * vnorm v (x - star))).
  by rewrite -{1}F_star affine_contracts.
by rewrite ler_wpmul2l // [vnorm v (F x - x)]vnormB vnorm_triangle.
Qed.

(** The same for the [t]-th iterate: the last step bounds the error. *)
Corollary a_posteriori_iter t x : q < 1 ->
  vnorm v (iter t.+1 F x - star) <= q / (1 - q) * vnorm v (iter t.+1 F x - iter t F x).
Proof. exact: a_posteriori. Qed.

End FixedPoint.
End Contraction.

(** ** A slack [s > 0] with [B v <= v - s] *)

Section Slack.
Variables (R : realFieldType) (n : nat) (B : 'M[R]_n) (c v : 'cV[R]_n) (s : R).
Hypothesis B_ge0 : forall i j, 0 <= B i j.
Hypothesis v_gt0 : forall i, 0 < v i 0.
Hypothesis s_gt0 : 0 < s.
Hypothesis slack : forall i, (B *m v) i 0 <= v i 0 - s.
Implicit Types x y : 'cV[R]_n.

Let F := affine B c.

(** [factor v s = 1 - s / max v] *)
Definition factor := 1 - s / largest (fun i => v i 0).

Let entry_le_top i : v i 0 <= largest (fun i => v i 0).
Proof. exact: (le_largest (fun i => v i 0)). Qed.

Let s_le i : s <= v i 0.
Proof. by rewrite -subr_ge0 (le_trans _ (slack i)) // mul_ge0 // => j; exact: ltW. Qed.

Lemma factor_ge0 : 0 <= factor.
Proof.
rewrite subr_ge0; have [top0|top_gt0] := leP (largest (fun i => v i 0)) 0.
  have -> : largest (fun i => v i 0) = 0 by apply/le_anti; rewrite top0 largest_ge0.
  by rewrite invr0 mulr0 ler01.
rewrite ler_pdivr_mulr // mul1r leNgt; apply/negP=> top_s.
suff : largest (fun i => v i 0) < largest (fun i => v i 0) by rewrite ltxx.
apply: largest_lt => // i.
by have := lt_le_trans top_s (le_trans (s_le i) (entry_le_top i)); rewrite ltxx.
Qed.

Lemma factor_le1 : factor <= 1.
Proof.
rewrite /factor ler_subl_addr ler_addl divr_ge0 ?largest_ge0 //; exact: ltW.
Qed.

Lemma factor_lt1 : (0 < n)%N -> factor < 1.
Proof.
move=> n_gt0; rewrite ltr_subl_addr ltr_addl divr_gt0 //.
exact: lt_le_trans (v_gt0 (Ordinal n_gt0)) (entry_le_top _).
Qed.

Lemma slack_factor i : (B *m v) i 0 <= factor * v i 0.
Proof.
have top_gt0 := lt_le_trans (v_gt0 i) (entry_le_top i).
apply: le_trans (slack i) _; rewrite mulrBl mul1r ler_add2l ler_opp2.
by rewrite -mulrA ger_pmulr // mulrC ler_pdivr_mulr // mul1r.
Qed.

Theorem slack_contracts x y : vnorm v (F x - F y) <= factor * vnorm v (x - y).
Proof. exact: affine_contracts factor_ge0 slack_factor x y. Qed.

Theorem slack_powers t x : vnorm v (iter t (mulmx B) x) <= factor ^+ t * vnorm v x.
Proof. exact: powers_contract factor_ge0 slack_factor t x. Qed.

Section FixedPoint.
Variable star : 'cV[R]_n.
Hypothesis F_star : F star = star.

Theorem slack_a_priori t x :
  vnorm v (iter t F x - star) <= factor ^+ t * vnorm v (x - star).
Proof. exact: a_priori factor_ge0 slack_factor _ F_star t x. Qed.

Theorem slack_a_posteriori x : (0 < n)%N ->
  vnorm v (F x - star) <= factor / (1 - factor) * vnorm v (F x - x).
Proof.
move=> n_gt0.
exact: a_posteriori factor_ge0 slack_factor _ F_star x (factor_lt1 n_gt0).
Qed.

(** An error is at most what the others pass on plus the residual. *)
Let error_le x b i : (forall k, `|(F x - x) k 0| <= b) ->
  `|(x - star) i 0| <= (v i 0 - s) * vnorm v (x - star) + b.
Proof.
move=> res_le; have split_error : x - star = B *m (x - star) - (F x - x).
  by rewrite -(affine_sub B c) -/F F_star opprB [RHS]addrC subrKA.
rewrite {1}split_error mxE [X in _ + X]mxE; apply: le_trans (ler_norm_sub _ _) _.
apply: ler_add => //; apply: le_trans (mul_vnorm_le B_ge0 _ i v_gt0) _.
by rewrite mulrC ler_wpmul2r ?vnorm_ge0.
Qed.

(** If no residual exceeds [b], agent [i] is off by at most [(v_i / s) b]. *)
Theorem residual_bound x b : (forall k, `|(F x - x) k 0| <= b) ->
  forall i, `|(x - star) i 0| <= v i 0 / s * b.
Proof.
move=> res_le i; set e := vnorm v (x - star).
have b_ge0 : 0 <= b by apply: le_trans (res_le i); rewrite normr_ge0.
suff e_le : s * e <= b.
  apply: le_trans (entry_le_vnorm v_gt0 _ i) _.
  by rewrite -mulrA ler_pmul2l // mulrC ler_pdivl_mulr // mulrC.
rewrite leNgt; apply/negP=> b_lt.
have e_gt0 : 0 < e by rewrite -(pmulr_rgt0 _ s_gt0) (le_lt_trans b_ge0).
suff : e < e by rewrite ltxx.
apply: (vnorm_lt v_gt0 e_gt0) => k; apply: le_lt_trans (error_le k res_le) _.
by rewrite mulrBl -addrA gtr_addl addrC subr_lt0.
Qed.

Corollary residual_bound_largest x i :
  `|(x - star) i 0| <= v i 0 / s * largest (fun k => `|(F x - x) k 0|).
Proof.
by apply: residual_bound => k; apply: (le_largest (fun k => `|(F x - x) k 0|)).
Qed.

End FixedPoint.

(** ** Existence and uniqueness *)

Lemma slack_minimum_principle x :
  (forall i, 0 <= ((1%:M - B) *m x) i 0) -> forall i, 0 <= x i 0.
Proof.
move=> super; pose dip := largest (fun i => - x i 0 / v i 0).
have above i : - x i 0 <= v i 0 * dip.
  by rewrite mulrC -ler_pdivr_mulr // (le_largest (fun i => - x i 0 / v i 0)).
suff dip0 : dip = 0 by move=> i; have := above i; rewrite dip0 mulr0 oppr_le0.
apply/le_anti; rewrite largest_ge0 andbT leNgt; apply/negP=> dip_gt0.
suff : dip < dip by rewrite ltxx.
apply: largest_lt => // i; rewrite ltr_pdivr_mulr //.
have := super i; rewrite mulmxBl mul1mx mxE [X in _ + X]mxE subr_ge0 -ler_opp2.
move=> /le_lt_trans; apply; have := @mul_le _ _ _ B_ge0 (- x) (dip *: v) _ i.
rewrite mulmxN mul_entry_scale mxE => /(_ _)/le_lt_trans; apply.
  by move=> j; rewrite !mxE [dip * _]mulrC.
by rewrite ltr_pmul2l // (le_lt_trans (slack i)) // gtr_addl oppr_lt0.
Qed.

Theorem slack_unit : 1%:M - B \in unitmx.
Proof.
rewrite -unitmx_tr -row_free_unit; apply: inj_row_free => u uB.
have Bu : (1%:M - B) *m u^T = 0 by rewrite -[LHS]trmxK trmx_mul trmxK uB trmx0.
have u_ge0 : forall i, 0 <= u^T i 0.
  by apply: slack_minimum_principle => i; rewrite Bu mxE.
have u_le0 : forall i, 0 <= (- u^T) i 0.
  by apply: slack_minimum_principle => i; rewrite mulmxN Bu oppr0 mxE.
apply/rowP=> i; apply/le_anti; have := u_ge0 i; have := u_le0 i.
by rewrite !mxE oppr_ge0 => -> ->.
Qed.

Theorem slack_inverse_ge0 i j : 0 <= invmx (1%:M - B) i j.
Proof.
have -> : invmx (1%:M - B) i j = col j (invmx (1%:M - B)) i 0 by rewrite mxE.
apply: slack_minimum_principle => k.
by rewrite colE mulmxA mulmxV ?slack_unit // mul1mx mxE ler0n.
Qed.

Theorem slack_fixed_point x : F x = x <-> x = invmx (1%:M - B) *m c.
Proof.
rewrite fixed_iff; split=> [<-|->]; first by rewrite mulKmx ?slack_unit.
by rewrite mulKVmx ?slack_unit.
Qed.

End Slack.

(** ** Anchored games *)

Section Anchored.
Variables (R : realFieldType) (n : nat) (a : 'M[R]_n).
Hypothesis a_stochastic : stochastic a.
Hypothesis a_grounded : grounded a.

Let B := others a.

(** Expected number of steps of the chain [a], stopped at somebody's data. *)
Definition steps : 'cV[R]_n := invmx (1%:M - B) *m const_mx 1.

Lemma others_ge0 i j : 0 <= B i j.
Proof. by rewrite mxE; case: eqP => // _; case: a_stochastic. Qed.

Theorem others_steps i : (B *m steps) i 0 = steps i 0 - 1.
Proof.
have : (1%:M - B) *m steps = const_mx 1 by rewrite mulKVmx ?unit_minus_others.
rewrite mulmxBl mul1mx => /colP/(_ i); rewrite mxE [X in _ + X]mxE [X in _ = X]mxE.
by move=> <-; rewrite opprB addrC subrK.
Qed.

Theorem steps_ge1 i : 1 <= steps i 0.
Proof.
rewrite -subr_ge0 -others_steps; apply: mul_ge0 => [j k|j]; first exact: others_ge0.
rewrite mulE sumr_ge0 // => k _; rewrite mxE mulr1.
exact: inverse_ge0 a_stochastic a_grounded j k.
Qed.

Lemma steps_gt0 i : 0 < steps i 0.
Proof. exact: lt_le_trans ltr01 (steps_ge1 i). Qed.

Lemma steps_slack i : (B *m steps) i 0 <= steps i 0 - 1.
Proof. by rewrite others_steps. Qed.

Variables (c : 'cV[R]_n).
Let F := affine B c.
Let q := factor steps 1.

Theorem anchored_contracts x y : vnorm steps (F x - F y) <= q * vnorm steps (x - y).
Proof. exact: slack_contracts others_ge0 steps_gt0 ltr01 steps_slack x y. Qed.

Theorem anchored_a_priori star t x : F star = star ->
  vnorm steps (iter t F x - star) <= q ^+ t * vnorm steps (x - star).
Proof.
by move=> F_star; exact: (slack_a_priori others_ge0 steps_gt0 ltr01 steps_slack).
Qed.

Theorem anchored_a_posteriori star x : (0 < n)%N -> F star = star ->
  vnorm steps (F x - star) <= q / (1 - q) * vnorm steps (F x - x).
Proof.
by move=> n0 F_star; exact: (slack_a_posteriori others_ge0 steps_gt0 ltr01 steps_slack).
Qed.

Theorem anchored_residual_bound star x i : F star = star ->
  `|(x - star) i 0| <= steps i 0 * largest (fun k => `|(F x - x) k 0|).
Proof.
move=> F_star; rewrite -{1}(divr1 (steps i 0)).
exact: (residual_bound_largest others_ge0 steps_gt0 ltr01 steps_slack).
Qed.

End Anchored.

Print Assumptions affine_contracts.
Print Assumptions a_priori.
Print Assumptions a_posteriori.
Print Assumptions slack_contracts.
Print Assumptions slack_powers.
Print Assumptions residual_bound.
Print Assumptions slack_unit.
Print Assumptions slack_inverse_ge0.
Print Assumptions slack_fixed_point.
Print Assumptions others_steps.
Print Assumptions steps_ge1.
Print Assumptions anchored_contracts.
Print Assumptions anchored_a_priori.
Print Assumptions anchored_a_posteriori.
Print Assumptions anchored_residual_bound.
