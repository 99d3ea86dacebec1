(** * The potential of the game, and maximum entropy

    Label: T3.  Imports: averaging.v, mixture.v (the weights), gibbs.v, expfam.v
    (finite sample space), game.v (utilities and equilibria).  Axioms: the three
    classical ones of MathComp-Analysis.

    Write [R = mixture a], [m_j] for the private moments, [t_i = sum_j R_ij m_j]
    for the equilibrium means, and [h] for the base density.

    - T3(c).  For positive [c], the potential
      [Phi theta = sum_i c_i (A theta_i - <theta_i, t_i>)] exceeds its value at an
      equilibrium by [sum_i c_i KL(p*_i || p_theta_i)] ([potential_gap]); its
      minimisers are the equilibria ([minimiser_iff_nash]).  If no combination of
      the statistics is constant, it is strictly convex
      ([potential_strictly_convex]) and has at most one minimiser
      ([nash_parameters_unique], [potential_minimum_strict]).
    - T3(a).  The model of an agent at equilibrium has the largest entropy
      relative to [h] among all distributions with the moments that the agent
      sees, and no other has the same ([nash_maximises_entropy]).
    - T3(b), its first half.  The whole profile maximises [sum_i c_i H(p_i)] under
      the coupled constraints
      [E_(p_i) phi = a_ii m_i + sum_(j != i) a_ij E_(p_j) phi]
      ([nash_maximises_total_entropy]); multipliers are not treated. *)

From mathcomp Require Import all_ssreflect all_algebra ring.
From mathcomp.analysis Require Import reals exp.
From ExpfamGame Require Import averaging mixture gibbs expfam game.

Set Implicit Arguments.
Unset Strict Implicit.
Unset Printing Implicit Defensive.

Import GRing.Theory Num.Theory Order.TTheory.
Local Open Scope ring_scope.

(** ** Entropy in one family *)

Section MaximumEntropy.
Variables (R : realType) (X : finType) (d : nat).
Variables (h : X -> R) (phi : X -> 'rV[R]_d).
Hypothesis h_gt0 : forall x, 0 < h x.
Hypothesis X_gt0 : (0 < #|X|)%N.
Implicit Types (p q : X -> R) (theta : 'rV[R]_d).

Local Notation density := (density h phi).
Local Notation A := (A h phi).

(** Entropy relative to [h], with [0 ln 0 = 0]. *)
Definition entropy q := - \sum_x q x * ln (q x / h x).

Lemma entropy_ext p q : p =1 q -> entropy p = entropy q.
Proof. by move=> pq; congr (- _); apply: eq_bigr => x _; rewrite pq. Qed.

Lemma ln_ratio (s t u : R) : 0 <= s -> 0 < t -> 0 < u ->
  s * ln (s / (t * u)) = s * ln (s / t) - s * ln u.
Proof.
move=> s0 t0 u0; have [->|s_neq0] := eqVneq s 0; first by rewrite !mul0r subrr.
have {s_neq0}s0 : 0 < s by rewrite lt_def s_neq0.
by rewrite !ln_div ?lnM ?posrE ?mulr_gt0 //; ring.
Qed.

(** [KL(q || p_theta) = - H(q) - <theta, E_q phi> + A theta] *)
Lemma relative_entropy_entropy q theta : distribution q ->
  relative_entropy q (density theta) =
  - entropy q - (dot theta (moment phi q) - A theta).
Proof.
move=> [q0 q1]; rewrite opprK dot_moment -[A theta]mul1r -q1 mulr_suml -!sumrB.
apply: eq_bigr => x _; rewrite ln_ratio ?expR_gt0 // expK.
by rewrite mulrBr.
Qed.

Lemma density_entropy theta :
  entropy (density theta) = A theta - dot theta (mean h phi theta).
Proof.
have dist := density_distribution phi h_gt0 X_gt0 theta.
have self0 : relative_entropy (density theta) (density theta) = 0.
  exact/(relative_entropy_eq0 dist dist (density_gt0 phi h_gt0 theta)).
have /esym/eqP := relative_entropy_entropy theta dist.
rewrite self0 subr_eq0 => /eqP entropyE.
by rewrite -[LHS]opprK entropyE opprB.
Qed.

(** Among the distributions with the same moments, entropy falls short of its
    maximum by a relative entropy. *)
Theorem entropy_gap q theta : distribution q -> moment phi q = mean h phi theta ->
  entropy (density theta) - entropy q = relative_entropy q (density theta).
Proof.
move=> dq same; rewrite density_entropy relative_entropy_entropy // same.
by rewrite addrC opprB.
Qed.

Theorem maximum_entropy q theta : distribution q -> moment phi q = mean h phi theta ->
  entropy q <= entropy (density theta) ?= iff [forall x, q x == density theta x].
Proof.
move=> dq same; have [] := gibbs dq (density_distribution phi h_gt0 X_gt0 theta)
                            (density_gt0 phi h_gt0 theta).
rewrite -entropy_gap // subr_ge0 eq_sym subr_eq0 => ge0 eq0.
by split; rewrite // eq_sym eq0.
Qed.

End MaximumEntropy.

(** ** Strict convexity of the log-partition function *)

Section Convexity.
Variables (R : realType) (X : finType) (d : nat).
Variables (h : X -> R) (phi : X -> 'rV[R]_d).
Hypothesis h_gt0 : forall x, 0 < h x.
Hypothesis X_gt0 : (0 < #|X|)%N.
Implicit Types (theta : 'rV[R]_d) (s t : R).

Local Notation density := (density h phi).
Local Notation A := (A h phi).

(** A minimal family: no combination of the statistics is constant on [X]. *)
Definition minimal := forall (v : 'rV[R]_d) (k : R),
  (forall x, dot v (phi x) = k) -> v = 0.

Lemma minimal_identifies theta theta' : minimal ->
  density theta =1 density theta' -> theta = theta'.
Proof.
move=> min same; apply/eqP; rewrite -subr_eq0; apply/eqP.
apply: (min _ (A theta - A theta')) => x.
have /addrI := etrans (esym (ln_density phi h_gt0 theta x))
  (etrans (congr1 (@ln R) (same x)) (ln_density phi h_gt0 theta' x)).
rewrite dotBl.
move: (dot theta _) (dot theta' _) (A theta) (A theta') => u u' b b' uu'.
by rewrite -[u](subrK b) uu'; ring.
Qed.

Definition between t theta theta' := t *: theta + (1 - t) *: theta'.

(** The chord exceeds the function by two relative entropies. *)
Lemma chord_gap t theta theta' (eta := between t theta theta') :
  t * A theta + (1 - t) * A theta' - A eta =
  t * relative_entropy (density eta) (density theta) +
  (1 - t) * relative_entropy (density eta) (density theta').
Proof.
have first := relative_entropyE phi h_gt0 X_gt0 eta theta.
have second := relative_entropyE phi h_gt0 X_gt0 eta theta'.
apply/esym; apply: etrans (congr2 (fun u u' => t * u + (1 - t) * u') first second) _.
have eta_dot w : dot eta w = t * dot theta w + (1 - t) * dot theta' w.
  by rewrite dotDl !dotZl.
rewrite !dotBl eta_dot.
move: (dot theta _) (dot theta' _) (A theta) (A theta') (A eta) => *; ring.
Qed.

Theorem A_convex t theta theta' : 0 <= t <= 1 ->
  A (between t theta theta') <= t * A theta + (1 - t) * A theta'.
Proof.
move=> /andP[t0 t1]; rewrite -subr_ge0 chord_gap.
by rewrite addr_ge0 // mulr_ge0 ?subr_ge0 // family_entropy_ge0.
Qed.

Lemma mean_eq0 t (u w : R) : 0 < t < 1 -> 0 <= u -> 0 <= w ->
  t * u + (1 - t) * w = 0 -> u = 0 /\ w = 0.
Proof.
move=> /andP[t0 t1] u0 w0; have s0 : 0 < 1 - t by rewrite subr_gt0.
move/eqP; rewrite paddr_eq0 ?mulr_ge0 ?(ltW t0) ?(ltW s0) // !mulf_eq0.
by rewrite (gt_eqF t0) (gt_eqF s0) => /andP[/eqP-> /eqP->].
Qed.

Theorem A_strictly_convex t theta theta' : minimal -> 0 < t < 1 -> theta != theta' ->
  A (between t theta theta') < t * A theta + (1 - t) * A theta'.
Proof.
move=> min t01 neq; have /andP[t0 t1] := t01.
rewrite lt_neqAle A_convex ?ltW // andbT; apply: contraNneq neq => same.
have ge0 := family_entropy_ge0 phi h_gt0 X_gt0 (between t theta theta').
have /eqP := esym same; rewrite -subr_eq0 => /eqP/(etrans (esym (chord_gap _ _ _))).
case/(mean_eq0 t01 (ge0 theta) (ge0 theta')) => e e'.
apply/eqP/(minimal_identifies min) => x; apply: etrans (esym _) _.
  exact: (family_entropy_eq0 phi h_gt0 X_gt0 _ _).1 e x.
exact: (family_entropy_eq0 phi h_gt0 X_gt0 _ _).1 e' x.
Qed.

End Convexity.

(** ** The potential *)

Section Potential.
Variables (R : realType) (X : finType) (d n : nat).
Variables (h : X -> R) (phi : X -> 'rV[R]_d).
Hypothesis h_gt0 : forall x, 0 < h x.
Hypothesis X_gt0 : (0 < #|X|)%N.

Variables (a : 'M[R]_n) (pi : 'I_n -> X -> R) (c : 'I_n -> R).
Hypothesis a_stochastic : stochastic a.
Hypothesis a_grounded : grounded a.
Hypothesis pi_distribution : forall i, distribution (pi i).
Hypothesis c_gt0 : forall i, 0 < c i.

Implicit Types theta star : 'I_n -> 'rV[R]_d.

Local Notation density := (density h phi).
Local Notation mean := (mean h phi).
Local Notation moment := (moment phi).
Local Notation A := (A h phi).
Local Notation nash := (nash h phi a pi).

(** What agent [i] learns from, once the game is over: everybody's data, mixed. *)
Definition pooled i x := \sum_j mixture a i j * pi j x.

Lemma pooled_distribution i : distribution (pooled i).
Proof.
have [R0 R1] := mixture_stochastic a_stochastic a_grounded; split=> [x|].
  by apply: sumr_ge0 => j _; rewrite mulr_ge0 //; case: (pi_distribution j).
rewrite exchange_big -[RHS](R1 i); apply: eq_bigr => j _.
by rewrite -mulr_sumr; case: (pi_distribution j) => _ ->; rewrite mulr1.
Qed.

Lemma pooled_moment i : moment (pooled i) = \sum_j mixture a i j *: moment (pi j).
Proof.
rewrite /expfam.moment; under eq_bigr do rewrite scaler_suml.
rewrite exchange_big; apply: eq_bigr => j _; rewrite scaler_sumr.
by apply: eq_bigr => x _; rewrite scalerA.
Qed.

Lemma nash_iff_pooled theta : nash theta <-> forall i, mean (theta i) = moment (pooled i).
Proof.
rewrite (nash_iff_mixture phi h_gt0 X_gt0 a_stochastic pi_distribution a_grounded).
by split=> eq i; rewrite eq pooled_moment.
Qed.

Definition loss i (eta : 'rV[R]_d) := A eta - dot eta (moment (pooled i)).
Definition potential theta := \sum_i c i * loss i (theta i).

Lemma loss_score i eta eta' :
  loss i eta - loss i eta' = score h phi (pooled i) eta' - score h phi (pooled i) eta.
Proof.
have dist := pooled_distribution i; rewrite /loss.
rewrite (score_affine phi h_gt0 eta dist) (score_affine phi h_gt0 eta' dist).
move: (A eta) (A eta') (dot eta _) (dot eta' _) (\sum_x _) => *; ring.
Qed.

(** *** The gap is a weighted relative entropy *)

Theorem potential_gap star theta : nash star ->
  potential theta - potential star =
  \sum_i c i * relative_entropy (density (star i)) (density (theta i)).
Proof.
move=> /nash_iff_pooled eq; rewrite -sumrB; apply: eq_bigr => i _.
rewrite -mulrBr loss_score; congr (_ * _).
exact: (score_gap h_gt0 X_gt0 (theta i) (pooled_distribution i) (eq i)).
Qed.

Theorem potential_minimum star theta : nash star -> potential star <= potential theta.
Proof.
move=> eq; rewrite -subr_ge0 potential_gap //; apply: sumr_ge0 => i _.
by apply: mulr_ge0; [exact: ltW | exact: family_entropy_ge0].
Qed.

(** *** The minimisers are the equilibria *)

Definition replace theta i eta j := if j == i then eta else theta j.

Lemma potential_replace theta i eta :
  potential (replace theta i eta) - potential theta =
  c i * (loss i eta - loss i (theta i)).
Proof.
rewrite -sumrB (bigD1 i) //= /replace eqxx -mulrBr big1 ?addr0 // => j ji.
by rewrite (negbTE ji) subrr.
Qed.

Theorem minimiser_iff_nash theta :
  (forall theta', potential theta <= potential theta') <-> nash theta.
Proof.
split=> [least|eq theta']; last exact: potential_minimum.
apply/nash_iff_pooled => i.
apply: (maximiser_matches_moments h_gt0 X_gt0 (pooled_distribution i)) => eta.
rewrite -subr_ge0 -loss_score -(pmulr_rge0 _ (c_gt0 i)) -potential_replace.
by rewrite subr_ge0; exact: least.
Qed.

(** *** Minimal families *)

Hypothesis phi_minimal : minimal phi.

Theorem nash_parameters_unique star theta : nash star -> nash theta -> theta =1 star.
Proof.
move=> eq eq' i; apply: (minimal_identifies h_gt0 phi_minimal).
exact: (nash_unique h_gt0 X_gt0 a_stochastic pi_distribution a_grounded eq' eq).
Qed.

Theorem potential_minimum_strict star theta : nash star ->
  (exists i, theta i != star i) -> potential star < potential theta.
Proof.
move=> eq [i neq]; rewrite lt_neqAle potential_minimum // andbT.
apply: contraNneq neq => same; apply/eqP; apply: (nash_parameters_unique eq).
apply/minimiser_iff_nash => theta'.
exact: (eq_ind _ (fun least => least <= _) (potential_minimum theta' eq) _ same).
Qed.

Theorem potential_strictly_convex t theta theta' : 0 < t < 1 ->
  (exists i, theta i != theta' i) ->
  potential (fun i => between t (theta i) (theta' i)) <
  t * potential theta + (1 - t) * potential theta'.
Proof.
move=> t01 [i neq]; have /andP[t0 t1] := t01.
pose gap j := t * A (theta j) + (1 - t) * A (theta' j)
              - A (between t (theta j) (theta' j)).
have gap_ge0 j : 0 <= gap j by rewrite subr_ge0; apply: A_convex; rewrite ?ltW.
have gap_gt0 : 0 < gap i by rewrite subr_gt0; apply: A_strictly_convex.
have gapE : t * potential theta + (1 - t) * potential theta' -
            potential (fun j => between t (theta j) (theta' j)) = \sum_j c j * gap j.
  rewrite /potential !mulr_sumr -big_split -sumrB; apply: eq_bigr => j _ /=.
  have dotE w : dot (between t (theta j) (theta' j)) w =
                t * dot (theta j) w + (1 - t) * dot (theta' j) w.
    by rewrite dotDl !dotZl.
  rewrite /loss dotE /gap.
  move: (A (theta j)) (A (theta' j)) (A _) (dot (theta j) _) (dot (theta' j) _) => *.
  ring.
rewrite -subr_gt0 gapE (bigD1 i) //=; apply: ltr_paddr; last exact: mulr_gt0.
by apply: sumr_ge0 => j _; apply: mulr_ge0; [exact: ltW | exact: gap_ge0].
Qed.

End Potential.

(** ** Equilibria have maximal entropy *)

Section Entropy.
Variables (R : realType) (X : finType) (d n : nat).
Variables (h : X -> R) (phi : X -> 'rV[R]_d).
Hypothesis h_gt0 : forall x, 0 < h x.
Hypothesis X_gt0 : (0 < #|X|)%N.

Variables (a : 'M[R]_n) (pi : 'I_n -> X -> R) (star : 'I_n -> 'rV[R]_d).
Hypothesis a_stochastic : stochastic a.
Hypothesis a_grounded : grounded a.
Hypothesis pi_distribution : forall i, distribution (pi i).
Hypothesis star_nash : nash h phi a pi star.

Local Notation model i := (density h phi (star i)).
Local Notation moment := (moment phi).

(** Agent [i] sees the moments [a_ii m_i + sum_(j != i) a_ij E_(p_j) phi]. *)
Theorem nash_maximises_entropy i q : distribution q ->
  moment q = a i i *: moment (pi i) + \sum_(j | j != i) a i j *: moment (model j) ->
  entropy h q <= entropy h (model i) ?= iff [forall x, q x == model i x].
Proof.
move=> dq constraint; apply: maximum_entropy => //; rewrite constraint.
exact/esym/(best_response_iff phi h_gt0 X_gt0 a_stochastic pi_distribution star i).
Qed.

Definition feasible (p : 'I_n -> X -> R) := forall i, distribution (p i) /\
  moment (p i) = a i i *: moment (pi i) + \sum_(j | j != i) a i j *: moment (p j).

Lemma nash_feasible : feasible (fun i => model i).
Proof.
move=> i; split; first exact: density_distribution.
exact/(best_response_iff phi h_gt0 X_gt0 a_stochastic pi_distribution star i).
Qed.

(** The coupled constraints fix all moments. *)
Lemma feasible_moments p i : feasible p -> moment (p i) = moment (model i).
Proof.
have fixed p' : feasible p' ->
    response a [ffun j => moment (pi j)] [ffun j => moment (p' j)] =
    [ffun j => moment (p' j)].
  move=> ok; apply/ffunP=> j; rewrite responseE !ffunE (ok j).2; congr (_ + _).
  by apply: eq_bigr => k _; rewrite ffunE.
move=> /fixed p_fixed; have star_fixed := fixed _ nash_feasible.
have /ffunP/(_ i) := grounded_fixed_point_unique a_stochastic a_grounded p_fixed star_fixed.
by rewrite !ffunE.
Qed.

Theorem nash_maximises_total_entropy (c : 'I_n -> R) p :
  (forall i, 0 < c i) -> feasible p ->
  \sum_i c i * entropy h (p i) <= \sum_i c i * entropy h (model i)
  ?= iff [forall i, forall x, p i x == model i x].
Proof.
move=> c_gt0 ok; apply: leif_sum => i _.
have [le eq] := maximum_entropy h_gt0 X_gt0 (ok i).1 (feasible_moments i ok).
split; first by rewrite ler_pmul2l.
have c_neq0 : c i != 0 by rewrite gt_eqF.
by rewrite (inj_eq (mulfI c_neq0)); exact: eq.
Qed.

End Entropy.

Definition potential_results :=
  (potential_gap, potential_minimum, minimiser_iff_nash, nash_parameters_unique,
   potential_minimum_strict, potential_strictly_convex).
Definition entropy_results :=
  (maximum_entropy, nash_maximises_entropy, nash_maximises_total_entropy).
Print Assumptions potential_results.
Print Assumptions entropy_results.
